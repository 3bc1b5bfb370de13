"""``python -m pybench`` is ``pybench``."""

from pybench.cli import main

if __name__ == "__main__":
    main()
