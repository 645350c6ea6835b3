"""The contract suite: whether a server is fal, whether a client can speak to it. Behind `mock-fal check`.

A black box: it knows a target's address, the specification in `openapi/` and real clients, and of mock-fal only
how to start one.
"""
