"""The contract suite behind `mock-fal check`: does a server behave like fal, and does a client use fal correctly?

The suite is a black box test. It knows the address of the target, the specification in `openapi/` and real clients.
Of mock-fal itself it knows only how to start a server.
"""
