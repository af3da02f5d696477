"""Evidence about endpoints and clusters, and its consequences. Pure: time is handed in, nothing is sent."""
