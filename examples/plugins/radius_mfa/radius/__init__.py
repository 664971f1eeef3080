"""A RADIUS client for authentication, in the standard library only."""
