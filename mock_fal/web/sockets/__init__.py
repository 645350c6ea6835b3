"""WebSockets: HTTP over WebSocket (ws.fal.run) and realtime (fal.run)."""
