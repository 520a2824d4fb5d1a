"""Who registers the cases of a list: this process, those of torchrun, workers of Dask, or an array of Slurm."""
