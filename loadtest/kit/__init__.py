"""Parts of all measurements: processes on cores, the proxies and how to start them, origins, loads."""
