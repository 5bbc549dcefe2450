"""Study markets and promote the winners."""
