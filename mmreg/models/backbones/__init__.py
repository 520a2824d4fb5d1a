"""mmreg.models.backbones."""
