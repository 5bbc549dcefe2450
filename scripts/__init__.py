"""Keep the house: locks, wheels and gates."""
