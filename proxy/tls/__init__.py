"""TLS: the hello of a client, the choice of a host, certificates and the contexts made of them."""
