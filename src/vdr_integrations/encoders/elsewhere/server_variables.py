"""Environment variables of servers and their clients. It imports nothing: help texts name them."""

from __future__ import annotations

__all__ = ["ALLOW_INSECURE_VARIABLE", "KEY_VARIABLE"]

KEY_VARIABLE = "VDR_SERVER_KEY"
"""The key of a server, for servers and clients."""
ALLOW_INSECURE_VARIABLE = "VDR_ALLOW_INSECURE_KEY"
"""Allows to send a key over plain http to another machine, if it is 1."""
