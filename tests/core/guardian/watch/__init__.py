"""The watch: every rule at its bound, and what the guardian does about it."""
