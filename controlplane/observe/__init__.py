"""Knowledge of endpoints, breakers, shares and failovers, from the snapshot and the workers' reports."""
