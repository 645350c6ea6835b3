"""Cassettes: recorded exchanges with the live service, as readable files without secrets."""
