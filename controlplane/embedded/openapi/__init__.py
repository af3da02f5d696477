"""OpenAPI documents made from the schemas, when a client asks for them."""
