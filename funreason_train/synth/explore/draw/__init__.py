"""The arguments of calls: from the state, answers, examples and schemas; what has failed is avoided."""
