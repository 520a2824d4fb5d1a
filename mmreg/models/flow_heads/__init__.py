"""mmreg.models.flow_heads."""
