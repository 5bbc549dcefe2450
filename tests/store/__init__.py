"""Test the stores."""
