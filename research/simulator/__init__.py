"""Margin back-tests of many parameter sets in one pass."""
