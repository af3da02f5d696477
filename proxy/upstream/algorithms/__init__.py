"""Pure algorithms of balancing: hashing, weighted round robin, names of endpoints in cookies."""
