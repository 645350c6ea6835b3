"""Billing: prices and usage."""
