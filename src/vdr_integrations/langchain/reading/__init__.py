"""PDFs read as documents, one per page."""
