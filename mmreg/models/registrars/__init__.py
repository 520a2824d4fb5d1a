"""mmreg.models.registrars."""
