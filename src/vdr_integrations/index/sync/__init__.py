"""Documents on their way into an index, and what has changed since."""
