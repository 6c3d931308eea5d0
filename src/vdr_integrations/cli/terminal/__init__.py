"""Output of commands: lines, tables, JSON, progress bars, images, errors and exit codes."""
