"""Training of the bundled ``nano`` checkpoint from synthetic pages; needs no download, no GPU."""
