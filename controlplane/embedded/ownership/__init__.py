"""Field ownership: managedFields, and server-side apply on top of it."""
