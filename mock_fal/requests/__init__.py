"""Model requests: lifecycle, the queue of an app, outcome and state."""
