"""Check the house itself: imports, sizes, packaging."""
