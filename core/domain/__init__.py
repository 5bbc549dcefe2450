"""The words of tradedeck: identifiers, instruments, market data, orders, positions, accounts, commands and events."""
