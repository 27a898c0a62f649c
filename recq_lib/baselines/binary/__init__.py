"""One-bit codes of other papers, on the same encoder and protocol."""
