"""What all measurements share: processes on cores, the proxies and how to start them, origins, loads."""
