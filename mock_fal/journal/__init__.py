"""The journal: HTTP exchanges, their HAR export, and assertions about calls of models."""
