"""Faults: what a test asks for the answers on the wire. Loaded when it asks for the first."""
