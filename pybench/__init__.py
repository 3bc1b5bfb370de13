"""pybench."""
