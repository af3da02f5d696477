"""What is known of endpoints, breakers, shares and failovers, by the snapshot and the workers' reports."""
