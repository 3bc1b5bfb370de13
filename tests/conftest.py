"""What every test stands on: the toy components, one thread, no accelerator."""

import os
from pathlib import Path

os.environ["PYBENCH_PLUGINS"] = str(Path(__file__).parent / "plugins")
