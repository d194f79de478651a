"""The explorer's routes: what an address asks for, the page, and the headers around it."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from usersim.errors import ConfigError, MissingDependencyError, NotStoredError, UsersimError
from usersim.explorer.closeups import Explorer
from usersim.explorer.drawing import ASSETS, asset
from usersim.explorer.links import ServerLinks, Step
from usersim.explorer.views import Pages

if TYPE_CHECKING:
    from fastapi import APIRouter
    from starlette.requests import Request
    from starlette.responses import Response

__all__ = ["HEADERS", "explorer_router", "refuse_missing"]

HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Of every reply: nothing from elsewhere runs, nothing is framed, nothing personal is cached."""
HTML = "text/html; charset=utf-8"
LARGEST = 2**63 - 1
"""The largest row id or place of a store."""

Query = Mapping[str, str]
Show = Callable[[Pages, Query], bytes]


def refuse_missing() -> None:
    """Raise unless the packages of a server are installed.

    Raises:
        MissingDependencyError: Naming the extra.
    """
    for package in ("fastapi", "uvicorn"):
        if importlib.util.find_spec(package) is None:
            raise MissingDependencyError(package, extra="server", why="the explorer")


def explorer_router(explorer: Explorer, *, prefix: str = "") -> APIRouter:
    """Return the explorer's routes, for any FastAPI application.

    Whoever mounts them decides who may come in: put a guard around the application.

    Args:
        explorer: What is shown.
        prefix: Path under which the routes stand, such as `/explore`; empty for the root.

    Raises:
        MissingDependencyError: If FastAPI is not installed.
    """
    refuse_missing()
    from fastapi import APIRouter

    pages = Pages(explorer, ServerLinks(prefix))
    router = APIRouter()
    for path, show in _ROUTES.items():
        router.add_route(f"{prefix}{path}", _endpoint(pages, show), include_in_schema=False)
    router.add_route(f"{prefix}/static/{{name}}", _asset, include_in_schema=False)
    return router


def _endpoint(pages: Pages, show: Show) -> Callable[[Request], Response]:
    """Return what answers a request; a plain function, so that it runs in a thread."""

    def endpoint(request: Request) -> Response:
        from starlette.responses import Response

        status = 200
        try:
            _check_origin(request)
            body = show(pages, request.query_params)
        except UsersimError as error:
            status, title = _status(error)
            body = pages.error(title, str(error), error.hint)
        return Response(body, status, HEADERS, HTML)

    return endpoint


def _asset(request: Request) -> Response:
    from starlette.responses import Response

    name = str(request.path_params["name"])
    if name not in ASSETS:
        return Response("not found", 404, HEADERS, "text/plain")
    return Response(asset(name), 200, HEADERS, ASSETS[name])


def _status(error: UsersimError) -> tuple[int, str]:
    if isinstance(error, LookupError):
        return 404, "Not in this store"
    if isinstance(error, ConfigError):
        return 400, "This cannot be shown"
    return 500, "Something went wrong"


def _check_origin(request: Request) -> None:
    """Refuse to compute for another site's page, which may embed any address as a picture.

    Raises:
        ConfigError: If the browser says that another site asks.
    """
    site = request.headers.get("sec-fetch-site", "none")
    if request.query_params.get("measure") and site not in {"none", "same-origin"}:
        raise ConfigError(
            "measuring is not allowed from another site",
            hint="open the page and start the measurement there",
        )


def _text(query: Query, name: str) -> str:
    """Return what is asked for by name.

    Raises:
        ConfigError: If it is missing or holds a character that no store keeps.
    """
    text = query.get(name, "")
    if not text or "\0" in text:
        raise ConfigError(
            f"the address has no valid {name!r}: {text!r}",
            hint="follow the links from the overview",
        )
    return text


def _number(text: str) -> int:
    """Return a row id or a place.

    Raises:
        ConfigError: If it is none.
    """
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(LARGEST)):
        raise ConfigError(f"{text!r} is not a valid row number", hint="follow the links")
    return min(int(text), LARGEST)


def _step(query: Query) -> Step:
    if query.get("after"):
        return "after", _text(query, "after")
    return ("before", _text(query, "before")) if query.get("before") else None


def _place(query: Query) -> Step:
    step = _step(query)
    return None if step is None else (step[0], _number(str(step[1])))


def _measure(query: Query) -> bool:
    return query.get("measure") == "1"


def _people(pages: Pages, query: Query) -> bytes:
    search = _text(query, "q") if query.get("q") else ""
    return pages.people(search, _step(query))


def _compare(pages: Pages, query: Query) -> bytes:
    answer = query.get("answer", "")
    return pages.compare(
        answer_id=_number(answer) if answer else None,
        interaction=query.get("interaction", ""),
        other=_text(query, "other") if query.get("other") else "",
    )


def _interaction(pages: Pages, query: Query) -> bytes:
    """Show an interaction.

    Raises:
        NotStoredError: If the key can be none.
    """
    return pages.interaction(_key(query))


def _key(query: Query) -> str:
    """Return a content hash.

    Raises:
        NotStoredError: If it can be none.
    """
    key = _text(query, "key")
    if not key.isalnum():
        raise NotStoredError(
            f"{key!r} is not a valid key", hint="follow the links from the overview"
        )
    return key


_ROUTES: Mapping[str, Show] = {
    "/": lambda pages, _: pages.overview(),
    "/people": _people,
    "/person": lambda pages, query: pages.person(_text(query, "user"), _place(query)),
    "/answers": lambda pages, query: pages.answers(_text(query, "user"), _place(query)),
    "/interaction": _interaction,
    "/trace": lambda pages, query: pages.trace(_key(query), measure=_measure(query)),
    "/run": lambda pages, query: pages.run(_text(query, "name"), _place(query)),
    "/answer": lambda pages, query: pages.answer(
        _number(_text(query, "id")), measure=_measure(query)
    ),
    "/compare": _compare,
}
