"""mmreg.engine."""
