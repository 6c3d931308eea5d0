"""Pages drawn in processes of their own."""
