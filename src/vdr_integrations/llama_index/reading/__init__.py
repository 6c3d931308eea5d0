"""PDFs as Documents, and Documents as image nodes."""
