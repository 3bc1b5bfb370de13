"""Write callgrind.out: what callgrind says of the program ``true``.

Run ``python tests/golden/make_callgrind.py`` where valgrind is.
"""

from __future__ import annotations

import subprocess
from pathlib import Path

if __name__ == "__main__":
    subprocess.run(
        [
            "valgrind",
            "--tool=callgrind",
            "--callgrind-out-file=callgrind.out",
            "--collect-atstart=no",
            "--toggle-collect=exit",
            "/bin/true",
        ],
        cwd=Path(__file__).parent,
        check=True,
    )
