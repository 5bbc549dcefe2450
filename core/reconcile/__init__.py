"""Our record against a venue's: what is explained, what differs, and the trader's word on it."""
