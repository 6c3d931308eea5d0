"""Checkpoints: their descriptions, where their files come from, and how these are read."""
