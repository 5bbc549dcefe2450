"""Tapes through the whole engine, from the command line."""
