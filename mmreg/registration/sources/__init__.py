"""Where a displacement comes from: a network, instance optimisation, or instance optimisation of a network's result."""
