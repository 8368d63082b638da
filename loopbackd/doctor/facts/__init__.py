"""What is the case: one small reader for each kind of fact, with no opinion of it."""
