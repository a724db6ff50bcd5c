"""Making many samples: what one sample is, the store that keeps them, and who does the work."""
