"""Processes with limits, in which files of others are opened."""
