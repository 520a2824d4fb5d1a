"""mmreg.models."""
