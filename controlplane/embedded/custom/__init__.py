"""Custom resources: validation against their schema, and serving what a CustomResourceDefinition defines."""
