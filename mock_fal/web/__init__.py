"""HTTP as fal speaks it."""
