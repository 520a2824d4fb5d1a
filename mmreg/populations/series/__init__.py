"""Series of frames: motion between them, frames brought together, labels and points carried along."""
