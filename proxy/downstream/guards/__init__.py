"""Guards keep clients out: limits of connections, too few file descriptors, overload."""
