"""Phase I: the graph of an environment's tools, and traces sampled from it by executing calls."""
