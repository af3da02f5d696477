"""OpenAPI documents made from the schemas, when somebody asks for them."""
