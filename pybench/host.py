"""Facts about this machine: what a record says of where it was made, and which processes live."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any


def stamp() -> dict[str, Any]:
    """Machine and library facts of a record; torch facts only when torch is already imported.

    The host is named by :func:`host_id`, never by its name, and no path is part of it.
    """
    return {**_machine(), **_versions(), **_torch()}


@functools.cache
def host_id() -> str:
    """8 hexadecimal digits of the host name's hash: tells machines apart without naming them."""
    return hashlib.blake2b(socket.gethostname().encode(), digest_size=4).hexdigest()


def process_start(pid: int) -> int | None:
    """Start time of a process in clock ticks since boot, or None when it no longer runs.

    Together with the process id it names a process for good: ids are used again, start times
    are not. A zombie does not run.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, start = fields[0], fields[19]
    return None if state in "ZX" else int(start)


def memory_mib() -> int:
    """Memory of this machine in MiB."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20


def resident_mib(pid: int) -> float:
    """Resident memory of a process in MiB; 0 when it no longer runs."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def cores() -> int:
    """CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


@functools.cache
def _machine() -> dict[str, Any]:
    return {
        "host_id": host_id(),
        "cpu": _cpu_model(),
        "cores": cores(),
        "memory_mib": memory_mib(),
        "os": f"{platform.system()} {platform.release()}",
        **_checkout(),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.machine()


def _checkout() -> dict[str, Any]:
    """Commit of the checkout that this package lies in, and whether its files were changed."""
    package = Path(__file__).parent

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(package), *arguments], capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            return None
        return done.stdout.strip() if done.returncode == 0 else None

    # An installed package may lie in somebody else's checkout; it is then not tracked there.
    if not git("ls-files", "__init__.py"):
        return {"git_sha": None, "dirty": None}
    changes = git("status", "--porcelain", "--untracked-files=no")
    return {
        "git_sha": git("rev-parse", "HEAD"),
        "dirty": None if changes is None else bool(changes),
    }


@functools.cache
def _versions() -> dict[str, Any]:
    packages = ("pybench", "numpy", "polars", "torch", "torchvision")
    return {"python": platform.python_version(), **{name: _version(name) for name in packages}}


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _torch() -> dict[str, Any]:
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    # Asking for a device name initialises CUDA; only a process that uses it already may ask.
    used = torch.cuda.is_initialized()
    return {
        "torch": str(torch.__version__),
        "cuda": torch.version.cuda,
        "cuda_device": torch.cuda.get_device_name() if used else None,
        "cudnn": torch.backends.cudnn.version() if used else None,
        "cudnn_benchmark": torch.backends.cudnn.benchmark,
        "tf32": torch.backends.cuda.matmul.allow_tf32,
    }
