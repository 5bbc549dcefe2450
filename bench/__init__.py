"""Measure tradedeck beside its references."""
