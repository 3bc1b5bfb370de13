"""The command line by subject; `pybench.cli` puts it together."""
