"""Routing tables from one route to a hundred thousand: lookups, memory, and what a swap costs requests."""
