"""The doors of the command line: one file a command, its options and its progress."""
