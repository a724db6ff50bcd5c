"""verl's sharded checkpoint as a Hugging Face folder, compared key by key before it counts as done."""
