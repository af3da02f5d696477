"""Client connections over TLS."""
