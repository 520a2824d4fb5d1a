"""mmreg.spatial."""
