"""Rank pages by their token vectors: MaxSim, and the first stage before it."""
