"""Who works on what: lease files that outlive no process of this host."""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from pybench import host


@dataclass(frozen=True)
class Owner:
    """A process of some host. ``str(owner)`` is its name in lease files and temporary folders.

    Fields:
        host: :func:`pybench.host.host_id` of its machine.
        pid: process id.
        start: start time in clock ticks since boot.
    """

    host: str
    pid: int
    start: int

    @classmethod
    def me(cls) -> Owner:
        """The running process."""
        pid = os.getpid()
        return cls(host.host_id(), pid, host.process_start(pid) or 0)

    @classmethod
    def parse(cls, text: str) -> Owner:
        """The inverse of ``str``.

        Raises:
            ValueError: the text names no owner.

        Example:
            >>> str(Owner.parse("0a1b2c3d-12-3456"))
            '0a1b2c3d-12-3456'
        """
        machine, pid, start = text.split("-")
        return cls(machine, int(pid), int(start))

    @property
    def gone(self) -> bool:
        """Whether the process is known to have ended; of another host nothing is known."""
        return self.host == host.host_id() and host.process_start(self.pid) != self.start

    def __str__(self) -> str:
        return f"{self.host}-{self.pid}-{self.start}"


@dataclass(frozen=True)
class Lease:
    """The right to work on one thing; leaving the ``with`` block gives it back."""

    path: Path

    def release(self) -> None:
        """Give the lease back; doing it twice does no harm."""
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Lease:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.release()


def owner(path: Path) -> Owner | None:
    """Who holds the lease at ``path``, alive or not; None when nobody does."""
    try:
        return Owner.parse(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError:
        # Only a power cut tears a lease, and no process outlives that.
        return Owner(host.host_id(), pid=0, start=0)


def claim(path: Path) -> Lease | None:
    """Take the lease at ``path``, or return None while another process holds it.

    The lease appears with its content in one step, so that no reader sees half of it. The lease
    of a process of this host that has ended is taken over at once.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    mine = temporary(path.parent)
    mine.write_text(str(Owner.me()))
    try:
        path.hardlink_to(mine)
    except FileExistsError:
        with _locked(path.parent):
            held_by = owner(path)
            if held_by is None or not held_by.gone:
                return None
            mine.replace(path)
    finally:
        mine.unlink(missing_ok=True)
    return Lease(path)


def sweep(folder: Path) -> None:
    """Remove what processes of this host that have ended left: their leases and ``tmp-*`` names."""
    if not folder.is_dir():
        return
    with _locked(folder):
        for path in folder.iterdir():
            if path.name.startswith("."):
                continue
            held_by = temporary_owner(path) or owner(path)
            if held_by is not None and held_by.gone:
                path.unlink(missing_ok=True)


def temporary(folder: Path) -> Path:
    """A new name ``tmp-<owner>-<random>`` in ``folder``, which readers ignore."""
    return folder / f"tmp-{Owner.me()}-{uuid.uuid4().hex}"


def temporary_owner(path: Path) -> Owner | None:
    """The process that made a :func:`temporary` name, or None for any other name."""
    name = path.name
    return Owner.parse(name[4:].rpartition("-")[0]) if name.startswith("tmp-") else None


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Let one process of this host at a time judge and replace dead leases."""
    with (folder / ".lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
