"""What every test stands on: the toy components, one thread, no accelerator."""

import os
from pathlib import Path

from hypothesis import HealthCheck, settings

os.environ["PYBENCH_PLUGINS"] = str(Path(__file__).parent / "plugins")

# A test never fails because the machine is slow.
settings.register_profile("pybench", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("pybench")
