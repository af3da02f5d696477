"""Custom resources: validation against their schema, and the kinds of a CustomResourceDefinition."""
