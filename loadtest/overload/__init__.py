"""One worker with more requests than it can carry."""
