"""What the README says, happens."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

README = (Path(__file__).parents[1] / "README.md").read_text()
COMMANDS = [
    line.partition("#")[0].strip()
    for block in re.findall(r"```bash\n(.*?)```", README, re.DOTALL)
    for line in block.splitlines()
]
THE_READERS_OWN = ("my.csv", "DIR", "FILE")
OFFLINE = [
    c for c in COMMANDS if c.startswith("pybench") and not any(w in c for w in THE_READERS_OWN)
]


@pytest.mark.parametrize("command", OFFLINE)
def test_a_command_of_the_readme_works(command: str, tmp_path: Path) -> None:
    words = shlex.split(command)
    if words[1] == "run" and "--dry-run" not in words:
        words.append("--dry-run")
    done = subprocess.run(
        [sys.executable, "-m", *words],
        cwd=tmp_path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_readme_names_both_make_commands() -> None:
    makefile = (Path(__file__).parents[1] / "Makefile").read_text()
    for target in ("leaderboard", "test"):
        assert f"make {target}" in README
        assert f"\n{target}:" in makefile


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", README, re.DOTALL))
def test_a_python_block_of_the_readme_runs(code: str) -> None:
    subprocess.run(
        [sys.executable, "-W", "error", "-c", code], check=True, capture_output=True, timeout=120
    )


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)]+)\)", README))
def test_a_link_of_the_readme_leads_somewhere(link: str) -> None:
    assert link.startswith("https://") or (Path(__file__).parents[1] / link).exists()
