"""The page of each finding, as data: docs/findings.md and `fleetgate explain CODE` read it."""
