"""The route of a request, and the division of its traffic: pure functions of the snapshot."""
