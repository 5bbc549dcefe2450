"""Keep orders, ticks and configs on disk."""
