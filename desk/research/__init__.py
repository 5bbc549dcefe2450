"""Studies, schedules and configs as a home runs them."""
