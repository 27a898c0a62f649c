"""BACO: balanced co-clustering of users and items, so that similar ones share rows of the table."""
