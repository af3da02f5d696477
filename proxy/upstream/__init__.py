"""The clusters' side: live endpoints, balancing, breakers, pooled connections, what may be retried."""
