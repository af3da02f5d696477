"""The control plane of fleetgate: kube ▸ resources ▸ translate ▸ publish, and the `fleetgate` command."""
