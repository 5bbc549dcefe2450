"""Alerts: what is known of them, when one is raised, and in which words."""
