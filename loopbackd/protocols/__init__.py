"""What a service can speak: the built-in protocols and the way to the user's own."""
