"""What users are told on their Ingresses when clusters lose their shares: Events, and an annotation."""
