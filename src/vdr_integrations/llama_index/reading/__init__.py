"""PDFs read as Documents, and Documents turned into image nodes."""
