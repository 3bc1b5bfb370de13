"""What the page on video says, happens."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

PAGE = (Path(__file__).parents[1] / "docs" / "video.md").read_text()


def test_the_blocks_of_the_page_run_one_after_the_other(tmp_path: Path) -> None:
    code = "\n".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    first, *rest = done.stdout.splitlines()
    assert first.startswith("(8, 112, 112, 3) [ 0  7 14 21 28 35 42 49]")
    assert rest == ["torch.Size([2, 3, 8, 112, 112])"] * 2
