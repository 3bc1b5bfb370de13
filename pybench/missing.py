"""What is said when something outside the program is not there: a tool, or a measurement."""

from __future__ import annotations


class MissingPartError(RuntimeError):
    """A part that is needed is not there, or nothing was measured."""


def unloadable(error: ImportError) -> ImportError:
    """Why the Rust extension cannot be loaded, and what to do.

    >>> print(unloadable(ImportError("no libavutil.so.57")))  # doctest: +NORMALIZE_WHITESPACE
    pybench._core must be loadable, got "no libavutil.so.57";
    install the FFmpeg it was built with, on Debian: apt-get install ffmpeg
    >>> print(unloadable(ImportError("No module named 'pybench._core'")))
    pybench._core must be loadable, got "No module named 'pybench._core'"; run: make build
    """
    of_ffmpeg = any(part in str(error) for part in ("libav", "libsw"))
    remedy = (
        "install the FFmpeg it was built with, on Debian: apt-get install ffmpeg"
        if of_ffmpeg
        else "run: make build"
    )
    return ImportError(f'pybench._core must be loadable, got "{error}"; {remedy}', name=error.name)
