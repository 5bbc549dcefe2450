"""Market data for studies: files in, series side by side, what an account pays."""
