"""Risk of the book."""
