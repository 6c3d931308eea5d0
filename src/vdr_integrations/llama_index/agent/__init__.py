"""The tool that an agent uses to search pages."""
