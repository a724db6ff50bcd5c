"""What transformers and vLLM know of models, and how they find one another."""
