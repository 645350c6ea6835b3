"""Webhooks: payloads, signatures, retries, deliveries, and a receiver."""
