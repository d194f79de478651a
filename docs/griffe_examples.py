"""Docstrings' `Example:` sections, shown as code in the reference.

Griffe knows the section's plural only. Without this, a list that an example prints is taken for a
link and leads nowhere.
"""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object


class ExampleSections(Extension):
    """Reads `Example:` as `Examples:`."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rename the section; called by griffe for each object."""
        if obj.docstring is not None:
            obj.docstring.value = re.sub(
                r"^Example:$", "Examples:", obj.docstring.value, flags=re.MULTILINE
            )
