"""mock-fal's own address: the control API `/_mock/…`, and the inspector."""
