"""The versioned in-memory store: objects, history, consistent snapshots, watches."""
