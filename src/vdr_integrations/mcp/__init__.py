"""A Model Context Protocol server for one index."""
