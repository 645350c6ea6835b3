"""Models: the catalogue of endpoints, their schemas, and the runners that answer."""
