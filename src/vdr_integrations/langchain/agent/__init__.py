"""How agents and chat models see pages: a tool, and content blocks."""
