"""What a worker counts and writes down. Nothing here waits."""
