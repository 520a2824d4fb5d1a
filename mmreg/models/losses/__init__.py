"""mmreg.models.losses."""
