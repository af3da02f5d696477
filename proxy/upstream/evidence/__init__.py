"""What requests tell about endpoints, and what follows from it. Pure: time is handed in, nothing is sent."""
