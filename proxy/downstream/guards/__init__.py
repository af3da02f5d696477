"""What keeps clients out: limits of connections, too few file descriptors, overload."""
