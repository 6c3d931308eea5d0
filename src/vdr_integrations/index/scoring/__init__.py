"""From token vectors to ranked pages: MaxSim, and the first stage before it."""
