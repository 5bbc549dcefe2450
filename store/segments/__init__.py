"""Raw column segments: what the engine writes of the market and what the recorder and queries read."""
