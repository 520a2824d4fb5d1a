"""What the shapes of a group say: local volumes in template space, compared between groups."""
