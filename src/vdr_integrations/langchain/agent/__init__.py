"""What agents and chat models are shown of pages."""
