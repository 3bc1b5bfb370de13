"""What asv measures at every commit: the kernels, and what the results store says."""
