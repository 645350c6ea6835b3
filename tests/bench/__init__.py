"""Benchmarks of the mock, as ratios to a bare Starlette application on uvicorn: `make bench`."""
