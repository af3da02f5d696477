"""Kubernetes objects to (snapshot, diagnostics, statuses): a pure function."""
