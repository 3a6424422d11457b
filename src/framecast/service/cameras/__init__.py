"""The cameras of one server, and everything that is kept for each."""
