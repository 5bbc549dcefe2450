"""Hold the domain, the engine and the guardian; know no vendor, database or screen."""
