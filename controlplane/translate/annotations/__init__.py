"""One module per annotation family, and the registry of every key that is known."""
