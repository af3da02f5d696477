"""What is known of endpoints and clusters from requests, and what follows from it."""
