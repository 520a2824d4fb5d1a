"""mmreg.io."""
