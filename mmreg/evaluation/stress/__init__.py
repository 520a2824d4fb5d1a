"""Stress tests: pairs with a known, controlled misalignment, and how well a model finds it."""
