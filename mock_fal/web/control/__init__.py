"""Our own address: the control API `/_mock/…`, and the page for people."""
