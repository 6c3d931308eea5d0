"""What langchain-community has that no other package has; its import warns that it ends."""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.filterwarnings("ignore", "`langchain-community` is being sunset", DeprecationWarning)
    from langchain_community.docstore.in_memory import InMemoryDocstore
    from langchain_community.vectorstores import FAISS, LanceDB

__all__ = ["FAISS", "InMemoryDocstore", "LanceDB"]
