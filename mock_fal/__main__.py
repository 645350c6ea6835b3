"""`python -m mock_fal` runs the `mock-fal` command."""

from mock_fal.cli import entry

entry()
