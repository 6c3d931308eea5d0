"""Several indexes as one: what each says of its pages is added up."""
