"""What an adapter says about itself: where it comes from, how it was trained, how good it is.

Knows values; knows no files. A manifest is what makes a folder an adapter
(`usersim.training.artifact`).
"""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from usersim.config import Recipe, SynthesizerConfig, TrainingConfig
from usersim.config.base import formerly
from usersim.errors import TrainingError
from usersim.training.mixture import ReasoningWeight
from usersim.training.schedule import ActionEvaluation, StopReason, TraceEvaluation
from usersim.types import Failure

__all__ = [
    "Arithmetic",
    "Counts",
    "Frozen",
    "Manifest",
    "SynthesizerRecord",
    "checked_provenance",
    "library_versions",
]

FORMAT = 1
_JSON: TypeAdapter[dict[str, JsonValue]] = TypeAdapter(dict[str, JsonValue])


class Frozen(BaseModel):
    """A value that does not change and knows all its fields."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Counts(Frozen):
    """How many examples went where."""

    train: int
    """Learned from."""
    with_reasoning: int
    """Of them with a trace before the action, and so learned both with and without reasoning."""
    validation: int
    """Measured at each evaluation, never learned from."""
    refused: int
    """Longer than the model takes."""


class Arithmetic(Frozen):
    """The arithmetic of a frozen base model in training, and why it was chosen."""

    dtype: str
    """Of its weights."""
    chosen: Literal["asked", "measured", "gpu", "given"]
    """By the configuration; by a measurement; because a GPU has it; or the model was given."""
    float32_ms: float | None = None
    """One layer forward and backward, milliseconds; None where it was not measured."""
    bfloat16_ms: float | None = None
    """The same in bfloat16."""


class SynthesizerRecord(Frozen):
    """What an adapter that writes traces says beside its manifest."""

    recipe: Recipe
    """How it was trained."""
    before: TraceEvaluation | None = None
    """Held-out figures of the base model."""
    after: TraceEvaluation | None = None
    """Held-out figures of the adapter."""
    evaluations: tuple[TraceEvaluation, ...] = ()
    """All of them, in order."""
    figures: tuple[dict[str, float], ...] = ()
    """Of each step: the reward and its components, spread within the groups, divergence."""
    warnings: tuple[str, ...] = ()
    """What looks wrong in these figures, in words."""


class Manifest(Frozen):
    """Everything that an adapter can say about itself."""

    format: int = FORMAT
    """Version of this layout."""
    name: str
    """As the caller gave it."""
    created: str
    """ISO 8601, UTC."""
    fingerprint: str
    """Identity of the run: settings, examples, base model, name."""
    users: tuple[str, ...]
    """Whose data was used, sorted: what deleting a user looks for. With `start` also those whom
    that adapter learned from."""
    people: tuple[str, ...] = ()
    """Who was learned from in this training, sorted; empty where `users` says it all."""
    start: str | None = None
    """Name of the adapter that it started from; None for fresh weights."""
    base_model: str
    """As the caller named it."""
    base_model_digest: str
    """Identifies the base model."""
    adapter_digest: str = ""
    """SHA-256 over configuration and weights; the reference's digest."""
    files: dict[str, str] = {}
    """SHA-256 of each file of the adapter."""
    config: TrainingConfig | SynthesizerConfig
    """All settings of the training."""
    config_key: str
    """Their key."""
    examples_digest: str
    """SHA-256 over the training examples."""
    provenance: dict[str, JsonValue] = {}
    """What the caller knows: corpus digest, prompt digests, the other stages' settings."""
    versions: dict[str, str]
    """Of Python and of the libraries that made the weights."""
    counts: Counts
    answers: int = 0
    """Actions that were learned from, each as often as it was; 0 where it was not counted."""
    tokens: int = 0
    """Tokens that were computed for them, about: what people share is computed once."""
    seconds: float = 0.0
    """Time that the steps took, without measuring and saving."""
    arithmetic: Arithmetic | None = None
    """Of the frozen base model; None where it was not noted. The adapter's weights are float32."""
    held: tuple[str, ...] = ()
    """Keys of the interactions that were held out of the training, sorted: what predictions are
    calibrated on."""
    form: Literal["turns", "page"] = "page"
    """Form of the prompts that it was trained with."""
    steps: int
    """Optimizer steps done."""
    planned_steps: int
    """Optimizer steps of the whole run."""
    stopped: StopReason
    """Why the run ended."""
    losses: tuple[float, ...]
    """Training loss of each step, nats."""
    before: ActionEvaluation | None = None
    """Validation figures of the base model."""
    after: ActionEvaluation | None = None
    """Validation figures of the adapter."""
    evaluations: tuple[ActionEvaluation, ...] = ()
    """All of them, in order."""
    refused: tuple[Failure, ...] = ()
    """The examples that were refused, and why."""
    reasoning_weight: ReasoningWeight | None = None
    """Fitted after training; None if it was not."""
    synthesizer: SynthesizerRecord | None = Field(
        default=None, validation_alias=formerly("synthesizer", "synthesiser")
    )
    """What a synthesizer has to say; None for a user model."""

    @property
    def learned_from(self) -> tuple[str, ...]:
        """Who was learned from in this training."""
        return self.people or self.users

    @property
    def pace(self) -> str:
        """What was learned and how fast, in a sentence; empty where it was not counted."""
        if not self.answers or not self.seconds:
            return ""
        return (
            f"{self.answers:,} answers learned in {self.seconds / 60:.1f} minutes"
            f" ({self.tokens:,} tokens): {60 * self.answers / self.seconds:,.0f} answers a minute"
        )


def checked_provenance(values: Mapping[str, object]) -> dict[str, JsonValue]:
    """Return a copy of what the caller knows, once it is certain that it can be written.

    Asked for before the training, not after it.

    Raises:
        TrainingError: If a value is not JSON.
    """
    try:
        return _JSON.validate_python(dict(values))
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise TrainingError(
            f"provenance {where!r} cannot be written as JSON: {error.errors()[0]['input']!r}",
            hint="pass strings, numbers, booleans, None, and lists or dictionaries of them",
        ) from error


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of what makes the weights."""
    versions = {"python": platform.python_version()}
    for name in ("usersim-recon", "torch", "transformers", "peft", "accelerate", "trl"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "not installed"  # run from a source tree
    return versions
