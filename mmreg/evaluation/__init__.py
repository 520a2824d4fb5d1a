"""mmreg.evaluation."""
