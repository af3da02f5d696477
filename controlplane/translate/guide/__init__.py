"""What each finding means, as data: docs/findings.md and `fleetgate explain CODE` read it."""
