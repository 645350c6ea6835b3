"""Commands of `mock-fal` that need no server."""
