"""mmreg.apis."""
