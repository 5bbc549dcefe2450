"""What engine and client say to each other over the socket, and both ends of it."""
