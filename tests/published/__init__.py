"""Small made data in the layouts in which challenges and papers ship theirs: real names, real JSON files."""
