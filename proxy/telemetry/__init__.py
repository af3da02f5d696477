"""Counters and logs of a worker. Nothing here waits."""
