"""The commands of ``vdr``, a file each."""
