"""The network side: certificates, the CONNECT proxy, a program's environment, webhooks and forwarded requests."""
