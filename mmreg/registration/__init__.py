"""From files to files: a pair is read, aligned, prepared, registered and brought back to its own grid."""
