"""Input of commands: options, names of documents, questions."""
