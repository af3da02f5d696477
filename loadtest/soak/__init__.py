"""A worker over time: beside slow clients, after a million requests, with idle connections."""
