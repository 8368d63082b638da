"""All I/O of connections: the batch reactor, the eager transports, listening."""
