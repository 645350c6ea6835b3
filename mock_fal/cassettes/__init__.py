"""What is recorded of the live service: readable cassettes without secrets, and the order in which they answer."""
