"""Requests of the control plane to the operating system: CPUs, addresses, names, files, signals, children."""
