"""Checkpoints: what is known of them, where their files come from, what is read from these."""
