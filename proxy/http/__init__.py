"""HTTP/1.1 as bytes in, values out: heads, body framing, field rules. No sockets, no clock."""
