"""Foreign text for a terminal: what would command the terminal is shown instead of sent.

A person's words, a server's error, the name of a user: any of these may hold escape sequences
that write to the clipboard, move the cursor or recolor the screen, line ends that forge a line
of output, or marks that turn the reading direction. Knows characters; knows nothing of terminals.
"""

from __future__ import annotations

__all__ = ["visible", "visible_json"]

_UNSEEN = "\N{REPLACEMENT CHARACTER}"
_PICTURES = {code: chr(0x2400 + code) for code in range(0x20)} | {0x7F: "\N{SYMBOL FOR DELETE}"}
_C1 = dict.fromkeys(range(0x80, 0xA0), _UNSEEN)
_SEPARATORS = {
    0x2028: "\N{SYMBOL FOR NEWLINE}",
    0x2029: "\N{SYMBOL FOR NEWLINE}",
}
_DIRECTIONS = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)], _UNSEEN)
"""Embeddings, overrides and isolates. Marks of a single direction stay: right-to-left text needs
them, and they turn nothing."""
_SURROGATES = dict.fromkeys(range(0xD800, 0xE000), _UNSEEN)

_LINE = _PICTURES | _C1 | _SEPARATORS | _DIRECTIONS | _SURROGATES
_JSON = {code: f"\\u{code:04x}" for code in _LINE if chr(code) not in "\t\n\r"}
_BLOCK = {code: shown for code, shown in _LINE.items() if chr(code) not in "\t\n"}


def visible(text: str, *, indent: str | None = None) -> str:
    r"""Return a text with a visible sign in place of each character that commands a terminal.

    A control character becomes its picture (ESC becomes ␛); one without a picture, and a change
    of reading direction, become �. One character replaces one, so tables keep their columns.

    Args:
        text: Any text.
        indent: None makes one line of it: line ends and tabs are shown as signs too. A string
            keeps line ends and tabs, and puts `indent` before every line but the first, so that
            none of them looks like a line of ours.

    Example:
        >>> visible("\x1b[2Jada\nbob: yes"), visible("one\ntwo", indent="  ")
        ('␛[2Jada␊bob: yes', 'one\n  two')
    """
    if indent is None:
        return text.translate(_LINE)
    # A carriage return in a pair is part of a line end; alone it would overwrite the line.
    lines = text.replace("\r\n", "\n").translate(_BLOCK)
    return lines.replace("\n", f"\n{indent}")


def visible_json(json: str) -> str:
    r"""Return the same JSON with an escape in place of each character that commands a terminal.

    Unlike `visible` it loses nothing: whoever reads the JSON gets the exact text.

    Example:
        >>> visible_json('{"said": "\x9b31m"}')
        '{"said": "\\u009b31m"}'
    """
    return json.translate(_JSON)
