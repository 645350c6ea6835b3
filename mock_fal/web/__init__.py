"""HTTP and WebSocket interface of fal's hosts, the control API and the inspector."""
