"""Show the engine in a terminal."""
