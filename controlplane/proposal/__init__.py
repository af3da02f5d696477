"""The changes that an apply of objects would make, worked out in a child process beside the gateway."""
