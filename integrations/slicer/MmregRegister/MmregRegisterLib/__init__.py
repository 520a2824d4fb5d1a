"""What the module does without knowing 3D Slicer."""
