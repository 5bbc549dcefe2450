"""A trial as a page that opens offline, and as JSON."""
