"""What the formats that hold whole conversations share: messages, their parts, calls and results."""
