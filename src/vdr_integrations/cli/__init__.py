"""Programs built on the library: the ``vdr`` command."""
