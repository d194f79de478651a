"""The paths of the endpoint: models, chat completions, health, metrics.

Knows FastAPI; what is said by whom is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Iterable
from contextlib import aclosing
from typing import Annotated, TypeVar

import orjson
from fastapi import APIRouter, Header, Request, Response
from fastapi.responses import StreamingResponse

from usersim.config import ServerConfig
from usersim.errors import RefusedRequestError, UsersimError
from usersim.server.answering import Answering, CountedAnswer, Tokens
from usersim.server.asked import AnswerRequest, model_of, read_request, user_of
from usersim.server.metrics import METRICS_TYPE
from usersim.server.refusals import error_body, failed, refusal_of
from usersim.server.replies import Reply
from usersim.server.wire import ChatCompletion, ChatRequest, ErrorReply, Health, Model, ModelList
from usersim.simulation import Piece

__all__ = ["endpoint_router"]

Result = TypeVar("Result")

_ERRORS = {
    400: "The request is not valid.",
    401: "The key is missing or wrong.",
    403: "The origin is not allowed.",
    404: "There is no such person.",
    408: "The request body timed out.",
    413: "The body is too large.",
    421: "The host name is not allowed.",
    429: "Too many answers are waiting; see Retry-After.",
    500: "Internal server error.",
    502: "The model's answer was malformed.",
    503: "The engine or the store failed, or the server is shutting down.",
    504: "The answer timed out.",
}


def _errors(*statuses: int) -> dict[int | str, dict[str, object]]:
    common = (400, 401, 403, 421)
    return {
        status: {"model": ErrorReply, "description": _ERRORS[status]}
        for status in sorted({*common, *statuses})
    }


def endpoint_router(answering: Answering, config: ServerConfig) -> APIRouter:
    """Return the paths of the endpoint."""
    paths = _Paths(answering, config)
    router = APIRouter()
    router.add_api_route(
        "/v1/models",
        paths.models,
        methods=["GET"],
        summary="List the simulated people",
        response_model=ModelList,
        responses=_errors(503),
    )
    router.add_api_route(
        "/v1/models/{model:path}",
        paths.model,
        methods=["GET"],
        summary="Describe one simulated person",
        response_model=Model,
        responses=_errors(404, 503),
    )
    router.add_api_route(
        "/v1/chat/completions",
        paths.chat,
        methods=["POST"],
        summary="Answer as a simulated person",
        response_model=ChatCompletion,
        responses={
            **_errors(404, 408, 413, 429, 500, 502, 503, 504),
            200: {
                "description": "The answers; a stream of chunks where `stream` is true.",
                "content": {"text/event-stream": {"schema": {"type": "string"}}},
            },
        },
    )
    for path, reply in (("/health", paths.health), ("/health/ready", paths.ready)):
        router.add_api_route(
            path,
            reply,
            methods=["GET"],
            summary="Check whether the server is " + ("ready" if "ready" in path else "alive"),
            response_model=Health,
            responses={**_errors(), 503: {"model": Health, "description": "Not ready."}},
        )
    router.add_api_route(
        "/metrics",
        paths.metrics,
        methods=["GET"],
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={
            **_errors(),
            200: {
                "description": "Prometheus' text format.",
                "content": {"text/plain": {"schema": {"type": "string"}}},
            },
        },
    )
    return router


class _Paths:
    """What is done on each path."""

    def __init__(self, answering: Answering, config: ServerConfig) -> None:
        self._answering = answering
        self._config = config

    async def models(self) -> Response:
        """List everybody who can be asked, each under `user:` and their id."""
        people = await self._answering.people()
        return _json({"object": "list", "data": [_model(user_id) for user_id in people]})

    async def model(self, model: str) -> Response:
        """Tell of one person."""
        user_id = user_of(model)
        await self._answering.check_person(user_id)
        return _json(_model(user_id))

    async def health(self) -> Response:
        """Tell that the server is alive."""
        return _json({"status": "ok", "waiting": self._answering.batcher.waiting})

    async def ready(self) -> Response:
        """Tell whether the server takes requests: a load balancer's question."""
        answering = self._answering
        status = "ok"
        if answering.draining:
            status = "draining"
        elif answering.failing:
            status = "engine failing"
        elif answering.batcher.full:
            status = "queue full"
        waiting = answering.batcher.waiting
        return _json({"status": status, "waiting": waiting}, 200 if status == "ok" else 503)

    async def metrics(self) -> Response:
        """Return figures in Prometheus' text format; none of them names a person."""
        return Response(self._answering.metrics.page(), media_type=METRICS_TYPE)

    async def chat(
        self,
        body: ChatRequest,
        request: Request,
        x_usersim_roles: Annotated[str | None, Header()] = None,
    ) -> Response:
        """Return what a simulated person says next in a conversation.

        The action stands in `content`, the reasoning before it in `reasoning_content` and
        `reasoning`. See the how-to page on serving people for roles, closed questions and limits.
        """
        _check_text(await request.body())
        asked = read_request(
            body,
            server=self._config,
            simulation=self._answering.simulation,
            roles_header=x_usersim_roles,
        )
        items = await self._answering.items(asked)
        reply = Reply(asked, self._answering.fingerprint(items[0]))
        if asked.stream and self._answering.live(asked):
            return await self._live(reply, self._answering.pieces(asked, items[0]))
        counted = await _unless_left(request, self._answering.answers(asked, items))
        if counted is None:
            self._answering.metrics.answer("dropped")
            return Response(status_code=499)
        return self._whole(asked, reply, counted)

    def _whole(self, asked: AnswerRequest, reply: Reply, counted: list[CountedAnswer]) -> Response:
        """Return answers that are known as a whole.

        Raises:
            RefusedRequestError: If one of them failed.
        """
        refusal = failed(counted)
        if refusal is not None:
            raise refusal
        if not asked.stream:
            return _json(reply.completion(counted))
        return _events(_aiter(reply.chunks(counted)))

    async def _live(self, reply: Reply, pieces: AsyncGenerator[Piece | Tokens]) -> Response:
        """Return an answer as it is drawn; what fails before its first piece has a status."""
        chunks = reply.live(pieces)
        first: list[dict[str, object]] = []
        try:
            # The opening chunk is made of nothing; the second one proves that the engine lives.
            first.extend([await anext(chunks), await anext(chunks)])
        except BaseException:
            await chunks.aclose()
            await pieces.aclose()
            raise

        async def rest() -> AsyncGenerator[dict[str, object]]:
            async with aclosing(pieces), aclosing(chunks):
                for chunk in first:
                    yield chunk
                async for chunk in chunks:
                    yield chunk

        return _events(rest())


def _check_text(body: bytes) -> None:
    """Check that every text of a body is one: JSON can spell half a character.

    Raises:
        RefusedRequestError: If there is one.
    """
    if b"\\ud" not in body.lower():
        return
    try:
        json.dumps(json.loads(body), ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start : error.start + 1])
        raise RefusedRequestError(
            f"the body contains a lone surrogate, {half}", code="invalid_text"
        ) from error


def _model(user_id: str) -> dict[str, object]:
    return {"id": model_of(user_id), "object": "model", "created": 0, "owned_by": "usersim"}


def _json(value: object, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")


async def _aiter(chunks: Iterable[dict[str, object]]) -> AsyncGenerator[dict[str, object]]:
    for chunk in chunks:
        yield chunk


def _events(chunks: AsyncGenerator[dict[str, object]]) -> Response:
    """Return chunks as server-sent events; an error on the way is the last of them."""

    async def events() -> AsyncGenerator[bytes]:
        async with aclosing(chunks):
            try:
                async for chunk in chunks:
                    yield b"data: " + orjson.dumps(chunk) + b"\n\n"
            except UsersimError as error:
                yield b"data: " + orjson.dumps(error_body(refusal_of(error))) + b"\n\n"
                return
        yield b"data: [DONE]\n\n"

    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)


async def _unless_left(request: Request, work: Awaitable[Result]) -> Result | None:
    """Do `work`, and take it back if the client leaves meanwhile; then return None."""
    task = asyncio.ensure_future(work)
    left = asyncio.ensure_future(_left(request))
    try:
        await asyncio.wait({task, left}, return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else None
    finally:
        task.cancel()
        left.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
