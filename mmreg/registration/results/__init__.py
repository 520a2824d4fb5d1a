"""What a registration returns: numbers, warnings, files and the report."""
