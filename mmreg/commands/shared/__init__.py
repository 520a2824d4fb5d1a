"""What several commands share: options, and how a run is started and shown."""
