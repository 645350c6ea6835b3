"""Recording and replaying: responses from the live service, or from cassettes."""
