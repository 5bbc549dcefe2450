"""The matching and margin rules that paper, replay and back-tests share."""
