"""Golden runners: every module here registers functions that reproduce published numbers."""
