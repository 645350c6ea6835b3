"""`python -m mock_fal` is `mock-fal`."""

from mock_fal.cli import entry

entry()
