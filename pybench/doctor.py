"""What pybench needs, whether it is here, and how to get it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from pybench.missing import unloadable

APT = (
    "apt-get install -y --no-install-recommends pkg-config libclang-dev "
    "libavcodec-dev libavformat-dev libavutil-dev libswscale-dev ffmpeg chromium valgrind"
)


def examine() -> list[dict[str, str]]:
    """Rows of {part, verdict: ok | optional | missing, what}."""
    return [{"part": part, "verdict": verdict, "what": what} for part, verdict, what in _findings()]


def _findings() -> Iterator[tuple[str, str, str]]:
    yield "python", "ok", f"{platform.python_version()} at {sys.executable}"
    cores = os.cpu_count() or 1
    yield "machine", "ok", f"{platform.machine()}, {cores} cores"
    yield _core()
    for package in ("torch", "torchvision", "numpy", "scipy", "polars", "safetensors"):
        if importlib.util.find_spec(package) is None:
            yield package, "missing", f"pip install {package}"
        else:
            yield package, "ok", importlib.metadata.version(package)
    yield _gpu()
    free_gib = shutil.disk_usage(Path.cwd()).free / 2**30
    verdict = "ok" if free_gib > 5 else "missing"
    yield "disk", verdict, f"{free_gib:.0f} GiB free here; a suite wants 5"
    for program, purpose in (
        ("ffmpeg", "makes the clips of the tests"),
        ("chromium", "opens the report in the tests"),
        ("valgrind", "counts instructions for the gate of the Rust core"),
        ("qemu-system-arm", "runs the Cortex-M7 suite"),
    ):
        path = shutil.which(program)
        what = path or f"absent; {purpose}; as root: {APT}"
        yield program, "ok" if path else "optional", what


def _core() -> tuple[str, str, str]:
    try:
        from pybench import _core
    except ImportError as error:
        return "pybench._core", "missing", str(unloadable(error))
    libraries = ", ".join(f"{name} {of}" for name, of in _core.video_libraries().items())
    if not libraries:
        return "pybench._core", "missing", f"built without FFmpeg; as root: {APT}; then: make build"
    return "pybench._core", "ok", f"{_core.__version__}, {libraries}"


def _gpu() -> tuple[str, str, str]:
    import torch

    if torch.cuda.is_available():
        return "cuda", "ok", torch.cuda.get_device_name(0)
    return "cuda", "optional", "no CUDA GPU; everything runs on the CPU"
