"""What applying objects would change: worked out in a child process, which holds up nobody."""
