"""Strategies: they see every data message and answer with commands."""
