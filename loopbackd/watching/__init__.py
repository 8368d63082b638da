"""What listens and connects on this machine, what of that is usual, and what is new."""
