"""Full ranking, metrics per user, intervals and paired tests. May import data, kernels, codes."""
