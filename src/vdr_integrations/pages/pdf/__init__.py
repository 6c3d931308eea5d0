"""PDFs, through PyMuPDF."""
