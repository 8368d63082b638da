"""TLS: the local authority, the certificates it makes, and the layer that keeps a half-close."""
