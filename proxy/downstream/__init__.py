"""The clients' side: listeners and client connections."""
