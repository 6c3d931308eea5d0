"""The HTML report of ``vdr search --report``."""
