"""What the facts mean: pure functions from them to findings."""
