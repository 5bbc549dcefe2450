"""Everything known, in parts; changed only through ``State.apply``."""
