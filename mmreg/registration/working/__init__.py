"""The working grid: how two files become what a network or an optimisation sees."""
