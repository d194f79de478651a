"""Simulated people as tools of an MCP client: list them, ask one, run a survey, read a trace.

Made on the official SDK. Knows the simulator and the protocol's tools; what runs it, over which
pipe, is the command line's business. An answer and the reasoning behind it are two tools, so that
a model that asks does not read what it was not asked to read; the second can be left out.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast

from pydantic import BaseModel

from usersim.corpus import TraceRecord
from usersim.errors import ConfigError, MissingDependencyError, UsersimError
from usersim.simulation import Answer
from usersim.simulator import UserSimulator
from usersim.survey import Survey
from usersim.survey.loading import of_data
from usersim.types import Message, content_key

if TYPE_CHECKING:
    from mcp.server import MCPServer

__all__ = ["PeopleTools", "build_server"]

NOTE = "simulated: a model's guess at what this person would say, not what they said"
INSTRUCTIONS = (
    "Ask simulated people. Every answer is a model's guess at what a person would say, made from "
    "what they did before; it is not theirs. Say so whenever you pass one on, and do not present "
    "it to others as the person's own words."
)
REMEMBERED = 1_000
"""Answers whose traces can be read again, the newest."""
LEAST_OF_KEY = 8
"""Characters of a key that name a trace of the store."""
MOST_ASKED = 500
"""Elementary questions of one survey; a client does not wait for hours."""
PAGE = 100
"""People that are listed at once."""


class ConversationMessage(BaseModel):
    """One message of a conversation: `user` is the person, `assistant` whoever talks with them."""

    role: Literal["user", "assistant"]
    content: str


class PersonListed(BaseModel):
    """A person of the corpus, and how much is known of them."""

    user_id: str
    interactions: int
    learned_from: int
    held_out: int
    kinds: list[str]


class PeopleListed(BaseModel):
    """A page of people, in the order of their ids."""

    people: list[PersonListed]
    total: int


class AnswerGiven(BaseModel):
    """A simulated answer, without its reasoning."""

    user_id: str
    action: str
    probabilities: dict[str, float]
    trace_id: str
    simulated: Literal[True] = True
    note: str = NOTE


class TraceRead(BaseModel):
    """What stands behind one simulated answer, or one trace of the store with its verdict."""

    trace_id: str
    user_id: str
    reasoning: str
    engine: str
    action: str | None = None
    others: list[str] = []
    history: list[str] = []
    adapter: str | None = None
    seed: int | None = None
    verdict: str | None = None
    note: str = NOTE


class ItemAnswered(BaseModel):
    """One simulated answer to one item; `skipped` or `failed` says why there is none."""

    respondent: str
    question: str
    item: str
    value: str | float | None
    probabilities: dict[str, float]
    refused: bool
    skipped: str | None
    failed: str | None


class SurveyGiven(BaseModel):
    """A survey's simulated answers, by respondent and question, without reasoning."""

    title: str
    respondents: list[str]
    answers: list[ItemAnswered]
    seed: int
    runs: list[str]
    simulated: Literal[True] = True
    note: str = NOTE


class PeopleTools:
    """The tools, as plain methods.

    Args:
        sim: Whose people can be asked. One question is answered at a time.

    Example:
        >>> rows = [{"user_id": "ada", "context": "Tea?", "action": "Yes."}]
        >>> with UserSimulator.from_corpus(rows, engine="scripted") as sim:
        ...     tools = PeopleTools(sim)
        ...     given = tools.ask_user("ada", "Milk?", options=["yes", "no"])
        ...     read = tools.read_trace(given.trace_id)
        >>> given.simulated, sorted(given.probabilities), bool(read.reasoning)
        (True, ['no', 'yes'], True)
    """

    def __init__(self, sim: UserSimulator) -> None:
        self._sim = sim
        self._lock = threading.Lock()
        self._answers: OrderedDict[str, Answer] = OrderedDict()

    def list_people(self, after: str = "") -> PeopleListed:
        """List the people that can be asked, 100 at a time, in the order of their ids.

        Args:
            after: The last id of the page before; empty for the first page.
        """
        allowed = set(self._sim.users)
        known = [one for one in self._sim.corpus.users() if one.user_id in allowed]
        page = [one for one in known if one.user_id > after][:PAGE]
        people = [
            PersonListed(
                user_id=one.user_id,
                interactions=one.interactions,
                learned_from=one.train,
                held_out=one.held_out,
                kinds=sorted(one.kinds),
            )
            for one in page
        ]
        return PeopleListed(people=people, total=len(known))

    def ask_user(
        self,
        user_id: str,
        message: str,
        conversation: list[ConversationMessage] | None = None,
        options: list[str] | None = None,
        kind: Literal["choice", "scale", "number", "multi_choice", "free_text"] | None = None,
        seed: int | None = None,
    ) -> AnswerGiven:
        """Ask a simulated person and return what they would say: a model's guess, not theirs.

        Args:
            user_id: Who; see list_people.
            message: What is asked or said to them.
            conversation: What was said before, oldest first.
            options: The options of a closed question, in order; the answer is one of them and
                comes with the probability of each.
            kind: What an answer may be; with options `choice` unless it says otherwise.
            seed: Reproduces the answer.

        Returns:
            The answer, and the id under which read_trace gives the reasoning behind it.

        Raises:
            ConfigError: If this server does not answer for that person.
        """
        if user_id not in set(self._sim.users):
            self._sim.corpus.history(user_id, limit=1)  # raises with close matches
            raise ConfigError(f"this server cannot answer for user {user_id!r}")
        context: str | list[Message] = message
        if conversation:
            before = [
                Message(one.content, one.role, user_id if one.role == "user" else None)
                for one in conversation
            ]
            context = [*before, Message(message, role="assistant")]
        with self._lock:
            answer = self._sim.respond(
                context, user_id=user_id, options=options, kind=kind, seed=seed
            )
            return self._given(answer)

    def _given(self, answer: Answer) -> AnswerGiven:
        trace = answer.trace
        drawn = [one.reasoning for one in trace.drawn]
        key = content_key(trace.user_id, trace.prompt, trace.seed, answer.action_text, drawn)[:16]
        self._answers[key] = answer
        self._answers.move_to_end(key)
        if len(self._answers) > REMEMBERED:
            self._answers.popitem(last=False)
        return AnswerGiven(
            user_id=trace.user_id,
            action=answer.action_text,
            probabilities=dict(answer.probabilities),
            trace_id=key,
        )

    def run_survey(
        self,
        survey: dict[str, Any],
        people: list[str] | None = None,
        *,
        memory: bool = False,
        seed: int | None = None,
    ) -> SurveyGiven:
        """Put a survey to simulated people and return what each of them would answer.

        Args:
            survey: The instrument: `title` and `questions`, each with `type` (`single_choice`,
                `multiple_choice`, `likert`, `yes_no`, `number`, `ranking`, `budget`, `matrix`,
                `open_text`), `id`, `text` and what its type needs, such as `options`.
            people: Ids of the respondents; all of them if not given.
            memory: Whether respondents have their earlier answers before them.
            seed: Reproduces the answers.

        Returns:
            One answer for each respondent and item, with the probability of each label.

        Raises:
            SurveyError: If it is not an instrument; every problem is listed.
            ConfigError: If it asks too much for one call.
        """
        instrument = of_data(Survey, survey, where="survey")
        respondents = self._sim.respondents(people, seed=seed)
        with self._lock:
            cost = respondents.dry_run(instrument, memory=memory)
            if cost.requests > MOST_ASKED:
                raise ConfigError(
                    f"{cost.requests} questions exceed the limit of {MOST_ASKED} per call",
                    hint="ask fewer people, or use the command `usersim survey run`",
                )
            results = instrument.run(respondents, memory=memory, progress=False)
        kept = set(ItemAnswered.model_fields)
        return SurveyGiven(
            title=instrument.title,
            respondents=list(results.people),
            answers=[ItemAnswered(**one.model_dump(include=kept)) for one in results.responses],
            seed=results.seed,
            runs=list(results.runs),
        )

    def read_trace(self, trace_id: str) -> TraceRead:
        """Read the reasoning behind an answer, or a trace of the store with its verdict.

        The reasoning is the model's account, not the person's thought.

        Args:
            trace_id: As ask_user returned it, or the key of a trace or an interaction, of which
                the first 8 characters will do.

        Raises:
            ConfigError: If there is no such trace.
        """
        answer = self._answers.get(trace_id)
        if answer is not None:
            return _trace_of(trace_id, answer)
        own = set(self._sim.users)
        for record in self._stored(trace_id):
            interaction = self._sim.corpus.interaction(record.candidate.interaction_key)
            if interaction.user_id in own:
                return TraceRead(
                    trace_id=record.candidate.key,
                    user_id=interaction.user_id,
                    reasoning=record.candidate.reasoning,
                    engine=record.candidate.model,
                    verdict=record.verdict,
                )
        raise ConfigError(
            f"there is no trace {trace_id!r}",
            hint=f"use ids from ask_user; only the latest {REMEMBERED} answers are kept",
        )

    def _stored(self, trace_id: str) -> list[TraceRecord]:
        """Return the traces of the store; a shorter beginning would name many people's."""
        long_enough = len(trace_id) >= LEAST_OF_KEY
        return self._sim.corpus.ledger.find_trace(trace_id) if long_enough else []


def _trace_of(trace_id: str, answer: Answer) -> TraceRead:
    trace = answer.trace
    return TraceRead(
        trace_id=trace_id,
        user_id=trace.user_id,
        reasoning=answer.reasoning,
        engine=trace.engine,
        action=answer.action_text,
        others=[one.reasoning for one in trace.drawn[1:]],
        history=list(trace.history),
        adapter=trace.adapter,
        seed=trace.seed,
    )


def build_server(
    sim: UserSimulator, *, traces: bool = True, more: Sequence[Callable[..., object]] = ()
) -> MCPServer[Any]:
    """Return an MCP server with the tools of a simulator; `run()` serves it over stdio.

    Args:
        sim: Whose people can be asked.
        traces: Whether the reasoning can be read.
        more: Further tools: functions with typed arguments and a docstring.

    Returns:
        The SDK's server.

    Raises:
        MissingDependencyError: If the extra `mcp` is not installed.
    """
    try:
        from mcp.server import MCPServer
    except ImportError as error:
        raise MissingDependencyError("mcp", extra="mcp", why="an MCP server") from error
    from usersim import __version__

    server: MCPServer[Any] = MCPServer(
        "usersim", instructions=INSTRUCTIONS, version=__version__, log_level="WARNING"
    )
    tools = PeopleTools(sim)
    reading = [tools.read_trace] if traces else []
    for tool in (tools.list_people, tools.ask_user, tools.run_survey, *reading, *more):
        server.add_tool(_explained(cast("Callable[..., object]", tool)))
    return server


def _explained(tool: Callable[..., object]) -> Callable[..., object]:
    """Return `tool` with errors of usersim as the protocol's own, next step included.

    Its description is the docstring without what it raises, which only callers in Python catch.
    """
    from functools import wraps
    from inspect import getdoc

    from mcp.server.mcpserver.exceptions import ToolError

    @wraps(tool)
    def run(*args: object, **values: object) -> object:
        try:
            return tool(*args, **values)
        except UsersimError as error:
            said = f"{error}. {error.hint}" if error.hint else str(error)
            raise ToolError(said) from error

    run.__doc__ = (getdoc(tool) or "").partition("\n\nRaises:")[0]
    return run
