"""The settings: ``config.toml``, the secrets and the layouts of screens."""
