"""Risk of the whole book: what it may lose in a day, what a bad day would do to it, how many bets it really is."""
