"""Accounts: API keys, tokens, and who may read a file."""
