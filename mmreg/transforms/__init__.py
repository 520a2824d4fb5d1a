"""Using transform files: applied, inverted, composed, and how they change volumes."""
