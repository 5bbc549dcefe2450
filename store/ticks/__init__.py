"""Recorded ticks: day tables, their paths, and one query over segments, day files and Parquet."""
