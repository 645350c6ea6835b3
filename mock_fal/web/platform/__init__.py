"""The Platform API, `api.fal.ai/v1`, and the OpenAPI documents of the models on `fal.ai`."""
