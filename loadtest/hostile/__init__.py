"""A worker beside clients and endpoints that send as much cheap work as they can."""
