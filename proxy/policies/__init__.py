"""What a route does with requests and responses besides forwarding them; compiled once per route."""
