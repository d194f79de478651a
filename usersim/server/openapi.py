"""The endpoint's description of itself (OpenAPI): what FastAPI derives, corrected.

FastAPI lists a status that this endpoint never replies, and does not know of the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["describe"]

_UNUSED = "422"
_OPEN = ("/health", "/health/ready")


def describe(app: FastAPI, *, secured: bool) -> None:
    """Correct the description of `app`, once all its paths are there.

    Args:
        app: The application.
        secured: Whether a key is asked for.
    """
    derive = app.openapi

    def corrected() -> dict[str, object]:
        made = app.openapi_schema is None
        document = cast("dict[str, object]", derive())
        if made:
            _correct(document, secured=secured)
        return document

    app.openapi = corrected


def _correct(document: dict[str, object], *, secured: bool) -> None:
    paths = cast("dict[str, dict[str, dict[str, object]]]", document["paths"])
    for path, operations in paths.items():
        for operation in operations.values():
            replies = cast("dict[str, object]", operation["responses"])
            replies.pop(_UNUSED, None)
            if secured and path not in _OPEN:
                operation["security"] = [{"key": []}]
    components = cast("dict[str, dict[str, object]]", document.setdefault("components", {}))
    for unused in ("HTTPValidationError", "ValidationError"):
        components.get("schemas", {}).pop(unused, None)
    if secured:
        components["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
