"""HTML that is escaped because of how it is made: text is escaped, only elements are markup."""

from __future__ import annotations

import html
import unicodedata


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


def el(name: str, *children: str | None, **attributes: str | int | float | None) -> Markup:
    """An element; children that are not markup are escaped, None is left out.

    An attribute's underscores become hyphens and a trailing one is dropped (``class_``); an
    attribute that is None is left out.

    Example:
        >>> el("p", "a < b", el("b", "c"), class_="x", title='"')
        '<p class="x" title="&quot;">a &lt; b<b>c</b></p>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(visible(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{join(*children)}</{name}>")


def join(*children: str | None) -> Markup:
    """Several children after one another."""
    return Markup(
        "".join(
            child if isinstance(child, Markup) else html.escape(visible(child))
            for child in children
            if child is not None
        )
    )


def visible(text: str) -> str:
    r"""Control and direction characters written out, so that a name cannot rearrange a page.

    Example:
        >>> visible("a\u202eb\x00")
        'a\\u202eb\\u0000'
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        f"\\u{ord(c):04x}" if unicodedata.category(c) in ("Cc", "Cf", "Cs") and c != "\n" else c
        for c in text
    )
