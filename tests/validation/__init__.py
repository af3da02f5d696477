"""Checks of what a snapshot asks of a worker."""
