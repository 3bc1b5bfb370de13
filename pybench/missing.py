"""What is said when something outside the program is not there: a tool, or a measurement."""

from __future__ import annotations


class MissingPartError(RuntimeError):
    """A part that is needed is not there, or nothing was measured."""
