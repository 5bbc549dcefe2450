"""Test tradedeck; the folders mirror the source."""
