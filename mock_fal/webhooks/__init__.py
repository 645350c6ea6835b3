"""Webhooks: payload, signature, retries, deliveries, and a receiver."""
