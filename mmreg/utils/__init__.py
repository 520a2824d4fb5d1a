"""mmreg.utils: configs, checkpoints, plugins, the console, and what makes up for the engine's age."""
