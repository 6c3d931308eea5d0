"""The ``vdr`` program for the command line."""
