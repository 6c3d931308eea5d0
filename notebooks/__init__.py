"""Notebooks for newcomers; ``python -m notebooks.run`` runs them and keeps the pairs in step."""
