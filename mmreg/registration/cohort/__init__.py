"""Many pairs: lists, shares of several processes, resumable runs."""
