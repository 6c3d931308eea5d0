"""Late interaction for LlamaIndex, and found pages for its other parts."""
