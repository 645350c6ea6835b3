"""The folder that `mock-fal run` puts first in PYTHONPATH: Python imports its `sitecustomize` at start."""
