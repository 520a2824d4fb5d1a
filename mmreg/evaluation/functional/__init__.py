"""Metrics as pure functions of numpy arrays and torch tensors, one idea per module."""
