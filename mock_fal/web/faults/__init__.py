"""Injected faults in the responses on the wire. Loaded with the first directive that needs them."""
