"""What a simulator is given in place of what ships: evidence by meaning, retrieval, a judge."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import cast

from usersim.config import PipelineConfig
from usersim.corpus import Corpus
from usersim.engines import Engine
from usersim.errors import ArgumentError, ConfigError
from usersim.prediction import Embed, EmbeddingSimilarity, Similarity, lexical_similarity
from usersim.recon import Aids
from usersim.types import Retriever

__all__ = ["GivenRetriever", "Plugs", "name_of"]

GivenRetriever = Retriever | Callable[[Corpus], Retriever]
"""A retriever, or what makes one of a corpus."""


def name_of(given: object) -> str:
    """Return what tells one function or object from another in settings and keys.

    That is its attribute `identity` where it has one, and its module and name otherwise.

    Example:
        >>> name_of(name_of)
        'usersim.simulator.plugs.name_of'
    """
    own: object = getattr(given, "identity", None)
    if isinstance(own, str):
        return own
    named = given if hasattr(given, "__qualname__") else type(given)
    return f"{named.__module__}.{named.__qualname__}"  # pyright: ignore[reportUnknownMemberType, reportAttributeAccessIssue]


def _retrieves(given: object) -> bool:
    """Tell whether it is a retriever, not the class or the function that makes one."""
    return not isinstance(given, type) and callable(getattr(given, "retrieve", None))


@dataclass(frozen=True, kw_only=True)
class Plugs:
    """What is used in place of what ships.

    Attributes:
        embed: Turns texts into vectors: evidence for questions that the panel does not know, and
            the cosine of `sampled_similarity`.
        similarity: How alike texts are in meaning; None takes the cosine of `embed`, or words.
        retriever: Chooses what of the past is shown, in place of all evidence; or a function that
            makes one of the corpus.
        trace_judge: Ranks reconstructions, which the scorer `judge_listwise` needs.
    """

    embed: Embed | None = None
    similarity: Similarity | None = None
    retriever: GivenRetriever | None = None
    trace_judge: Engine | None = None

    def __post_init__(self) -> None:
        """Check what can be checked before it is used.

        Raises:
            ArgumentError: If something cannot be called, or a judge is not an engine.
        """
        for name in ("embed", "similarity"):
            given = getattr(self, name)
            if given is not None and not callable(given):
                raise ArgumentError(f"{name} is {given!r}, which is not a function")
        if self.retriever is not None and not (
            _retrieves(self.retriever) or callable(self.retriever)
        ):
            raise ArgumentError(
                f"retriever is {self.retriever!r}, which has no method retrieve",
                hint="see usersim.types.Retriever; or give a function that makes one of a Corpus",
            )
        if self.trace_judge is not None and not isinstance(self.trace_judge, Engine):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError(
                f"trace_judge is {self.trace_judge!r}, which is not an engine",
                hint="load_engine(model) loads one",
            )

    @cached_property
    def meaning(self) -> Similarity:
        """How alike texts are in meaning."""
        if self.similarity is not None:
            return self.similarity
        return lexical_similarity if self.embed is None else EmbeddingSimilarity(self.embed)

    def over(self, corpus: Corpus) -> Retriever | None:
        """Return what retrieves from a corpus; None for evidence as it ships.

        Raises:
            ArgumentError: If what was made of the corpus retrieves nothing.
        """
        given = self.retriever
        if given is None or _retrieves(given):
            return cast("Retriever | None", given)
        made = cast("Callable[[Corpus], Retriever]", given)(corpus)
        if not _retrieves(made):
            raise ArgumentError(f"the retriever made of the corpus is {made!r}")
        return made

    @property
    def aids(self) -> Aids:
        """What some scorers use."""
        return Aids(embed=self.embed, judge=self.trace_judge)

    def named_in(self, config: PipelineConfig) -> PipelineConfig:
        """Return settings that name what was given, so that other evidence has another key.

        Raises:
            ConfigError: If the settings name something that was not given: answers would come
                from other evidence than what was trained.
        """
        evidence = self.retriever or self.similarity or self.embed
        chosen = name_of(evidence) if evidence is not None else ""
        scoring = config.scoring
        aid = {"sampled_similarity": self.embed, "judge_listwise": self.trace_judge}.get(
            scoring.scorer
        )
        aided = name_of(aid) if aid is not None else ""
        for own, now in ((config.history.evidence_by, chosen), (scoring.aided_by, aided)):
            if own and own != now:
                raise ConfigError(
                    f"the settings were made with {own!r}; given is {now or 'nothing'!r}",
                    hint="give the same embed=, similarity=, retriever= or trace_judge=",
                    cli_hint="give the same --embed, --retriever or --trace-judge",
                )
        return config.model_copy(
            update={
                "history": config.history.model_copy(update={"evidence_by": chosen}),
                "scoring": scoring.model_copy(update={"aided_by": aided}),
            }
        )
