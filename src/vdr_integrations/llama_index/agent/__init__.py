"""The tool with which an agent searches pages."""
