"""The three papers, each in one place, equations beside the lines: L²Q-GCN, HQ-GNN, BACO. May import parts, training and below."""
