"""fleetgate beside nginx, HAProxy and Envoy: the same work, one core each, interleaved rounds."""
