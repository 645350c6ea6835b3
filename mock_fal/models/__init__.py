"""Models: the catalogue of endpoints, their schemas, and their runners."""
