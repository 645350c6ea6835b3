"""What the mock costs, as ratios to a bare Starlette + uvicorn: `make bench`."""
