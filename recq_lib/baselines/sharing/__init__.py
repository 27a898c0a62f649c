"""Hash functions and clusterings that give every user and item a row of a smaller table."""
