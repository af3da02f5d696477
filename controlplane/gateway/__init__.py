"""The composition root of `fleetgate run`."""
