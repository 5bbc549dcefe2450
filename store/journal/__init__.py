"""The append-only record of what was decided and what happened, durable before an order leaves."""
