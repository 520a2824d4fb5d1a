"""A template of a group: its mean shape with its mean intensity."""
