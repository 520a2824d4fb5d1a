"""Analysis of results: comparison of methods with statistics, and what deformation fields look like."""
