"""Simulation: long made-up lives of the engine, with every step checked."""
