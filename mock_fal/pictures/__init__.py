"""Placeholder pictures: recipe, plan (palette, scene, caption, noise), pixels and file."""
