"""The practice exchange: a process with matching accounts over the built-in order flow or over recorded tapes."""
