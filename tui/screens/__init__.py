"""Hold one module for each screen."""
