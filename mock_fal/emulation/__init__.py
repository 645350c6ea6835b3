"""The operations of fal on one store: submissions and what they lead to."""
