"""Every figure in the README and docs comes from a script in here."""
