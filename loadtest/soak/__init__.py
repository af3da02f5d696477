"""What a worker does over time: beside slow clients, after a million requests, with idle connections."""
