"""``VDREmbeddings``."""
