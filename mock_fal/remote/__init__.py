"""The server of another process: the fixture joins the one of `mock-fal run`."""
