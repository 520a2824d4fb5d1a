"""Building blocks that backbones and flow heads share."""
