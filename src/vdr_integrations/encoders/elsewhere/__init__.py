"""Models that run elsewhere: in other processes, or behind a server."""
