"""WebSockets: HTTP over them, and realtime."""
