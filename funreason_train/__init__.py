"""funreason-train: from a base model to a multi-turn function-calling model with the FunReason-MT recipe."""

__version__ = "0.1.0"
