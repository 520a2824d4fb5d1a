"""mmreg.utils."""
