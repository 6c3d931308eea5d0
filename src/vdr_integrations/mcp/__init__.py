"""A Model Context Protocol server over one index."""
