"""Labels of atlases carried to a new scan, and made into one."""
