"""mmreg.converters."""
