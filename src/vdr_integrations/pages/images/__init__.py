"""Images of any kind as pages."""
