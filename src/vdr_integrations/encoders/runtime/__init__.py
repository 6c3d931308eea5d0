"""Run a model: its thread, its device and number format, its share of the machine."""
