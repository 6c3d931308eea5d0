"""Builds and checks what is published: see docs/releasing.md."""
