"""Pages and questions as the model reads them: patches, tokens, prompts around them."""
