"""What the control plane asks of the operating system: CPUs, addresses, names, files, signals, children."""
