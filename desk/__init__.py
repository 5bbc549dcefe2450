"""Start tradedeck's roles and wire them together."""
