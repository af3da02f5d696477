"""Create, update, patch, apply and delete: from a decoded body to a stored object."""
