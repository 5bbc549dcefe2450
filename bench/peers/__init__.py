"""The other side of each pair, and the seeded data both sides work on; kept as their authors wrote them."""
