"""What a trial came to, and whether that is more than luck."""
