"""``VDREmbedding``."""
