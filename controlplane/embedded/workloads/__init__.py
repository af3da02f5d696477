"""The controllers of an embedded cluster: deployments, pods as local processes, endpoint slices."""
