"""Wing 2, how bytes come and go: certificates, the CONNECT proxy, the environment of a run, webhooks out."""
