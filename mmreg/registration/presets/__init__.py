"""Presets of registration without training, and which one suits a pair."""
