"""From pairs to populations: templates, atlases, series of frames, statistics; all registration is the pipeline's."""
