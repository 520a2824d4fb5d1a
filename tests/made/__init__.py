"""Small data in the layouts in which the data sets are published."""
