"""HQ-GNN: b-bit codes trained with a Hessian-aware gradient."""
