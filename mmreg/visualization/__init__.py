"""mmreg.visualization."""
