"""Draw pages in other processes."""
