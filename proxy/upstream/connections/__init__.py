"""Connections to endpoints: opened, pooled, watched."""
