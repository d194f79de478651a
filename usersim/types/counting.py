"""Numbers with their nouns, for texts that people read."""

from __future__ import annotations

__all__ = ["counted"]


def counted(n: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun, in the singular or the plural.

    Args:
        n: The number.
        noun: In the singular.
        plural: In the plural; default: the singular with an `s`.

    Example:
        >>> counted(1, "question"), counted(0, "person", "people"), counted(1200, "row")
        ('1 question', '0 people', '1,200 rows')
    """
    return f"{n:,} {noun if n == 1 else plural or noun + 's'}"
