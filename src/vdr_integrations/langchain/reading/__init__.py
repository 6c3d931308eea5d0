"""PDFs as documents, a page each."""
