"""Prepare pages and questions for the model: patches, tokens, prompts around them."""
