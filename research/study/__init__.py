"""A search: its file, its trials, its workers, and how it stands."""
