"""Routing tables from one route to a hundred thousand: lookups, memory, and the cost of a swap."""
