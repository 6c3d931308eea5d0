"""The commands of ``vdr``, one file each."""
