"""Alerts on their way out of the house: HTTP targets, each with its queue, in a thread of their own."""
