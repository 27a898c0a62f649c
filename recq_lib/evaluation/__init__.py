"""Full ranking and search, metrics per user, intervals and paired tests. May import codes, sharing, data and below."""
