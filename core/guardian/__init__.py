"""The risk guardian: ordered, named limits and a trading state; the only maker of ``Approved``."""
