"""What the papers are compared with: simple scorers, binary codes, ways to share rows. May import papers, parts and below."""
