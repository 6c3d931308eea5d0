"""What commands are told: options, names of documents, questions."""
