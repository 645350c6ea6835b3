"""Placeholder media: videos, sounds, 3D models and documents, from small recipes to the bytes of a file."""
