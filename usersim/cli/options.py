"""Options that commands share: each group is written once, and a command takes it as one value.

Knows how a group becomes options of a command, and how a simulator is opened with what was chosen;
runs nothing.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from functools import wraps
from importlib import import_module
from inspect import Parameter, signature
from typing import Annotated, Any, cast, get_type_hints

import typer

from usersim.cli.console import open_corpus
from usersim.config import DEFAULT_PRESET, Dtype, PipelineConfig, Preset, RemoteConfig
from usersim.corpus import Corpus
from usersim.engines import Engine
from usersim.engines.select import EngineName, load_engine
from usersim.errors import ConfigError
from usersim.prediction import Embed
from usersim.simulator import UserSimulator
from usersim.types import Retriever

__all__ = [
    "AnsweringOptions",
    "BaseUrlOption",
    "DryRunOption",
    "EngineOption",
    "LearningOptions",
    "ModelOption",
    "ModelOptions",
    "PlugOptions",
    "PresetOption",
    "ReconOption",
    "RequireReasoningOption",
    "TraceJudgeOption",
    "TracedOption",
    "check_base_url",
    "grouped",
    "open_simulator",
    "settings_of",
]

ModelOption = Annotated[
    str, typer.Option("--model", "-m", help="'embedded', a Hugging Face folder or a hub name.")
]
EngineOption = Annotated[
    EngineName, typer.Option(help="Engine that runs the model; 'auto' takes vLLM on a GPU.")
]
DtypeOption = Annotated[
    Dtype,
    typer.Option(
        help="Data type for inference; training chooses its own. 'auto': float32 on a CPU."
    ),
]
BaseUrlOption = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        help="URL of an OpenAI-compatible server, such as serve-engine's; ends with /v1.",
    ),
]
PresetOption = Annotated[
    Preset,
    typer.Option(help="Settings for two cores, a workstation or a GPU, or those of the paper."),
]
TracedOption = Annotated[
    int | None,
    typer.Option(
        help="Interactions of each person that get traces, evenly spaced; the others are learned "
        "without reasoning. Default: all.",
        min=1,
    ),
]
RequireReasoningOption = Annotated[
    bool,
    typer.Option(
        "--require-reasoning",
        help="Closed questions: fail if no readable trace was drawn, instead of answering without "
        "reasoning.",
    ),
]
DryRunOption = Annotated[
    bool,
    typer.Option(
        "--dry-run", help="Count requests and tokens, without asking or storing anything."
    ),
]
SecondOption = Annotated[
    str | None,
    typer.Option(
        help="Model of another family: cross-checks trace selection and triggers early stopping."
    ),
]
ReconOption = Annotated[
    str | None,
    typer.Option(
        "--recon-model",
        help="Another, larger model that writes and scores the traces; default: --model.",
    ),
]
TraceJudgeOption = Annotated[
    str | None,
    typer.Option(
        "--trace-judge",
        help="Model that ranks traces, which --preset paper needs: another than the one that "
        "writes them.",
    ),
]
AdapterOption = Annotated[
    str,
    typer.Option(
        help="Trained adapter that answers. default: the newest one in the store that fits the "
        "model, a person's own before a shared one; none: the base model; or a name that "
        "`usersim adapters` lists, or a folder.",
    ),
]
EmbedOption = Annotated[
    str | None,
    typer.Option(
        help="Function that turns texts into vectors, as MODULE:NAME: finds the past answers that "
        "bear on a question. Give the same to train and to answer.",
    ),
]
RetrieverOption = Annotated[
    str | None,
    typer.Option(
        help="Function that makes a retriever of a corpus, as MODULE:NAME: chooses what of the "
        "past is shown. Give the same to train and to answer.",
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """Which model is run how, with which settings."""

    model: ModelOption = "embedded"
    engine: EngineOption = "auto"
    dtype: DtypeOption = "auto"
    preset: PresetOption = DEFAULT_PRESET

    def runner(self) -> EngineName | Engine:
        """Return the engine's name where it will do: then it is loaded when it is first needed."""
        if self.dtype == "auto":
            return self.engine
        return load_engine(self.model, engine=self.engine, dtype=self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnsweringOptions(ModelOptions):
    """Which model and adapter answer, here or on a server."""

    adapter: AdapterOption = "default"
    base_url: BaseUrlOption = None

    def runner(self) -> EngineName | Engine:
        """Return the engine, or its name where that will do.

        Raises:
            ConfigError: If engine and address do not go together.
        """
        check_base_url(self.engine, self.base_url)
        if self.base_url is None:
            return ModelOptions.runner(self)
        settings = RemoteConfig(base_url=self.base_url, tokenizer=self.model)
        return load_engine(self.model, engine="remote", config=settings, dtype=self.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class LearningOptions(ModelOptions):
    """Which model learns, and which others write, score and rank its traces."""

    recon_model: ReconOption = None
    second: SecondOption = None
    trace_judge: TraceJudgeOption = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlugOptions:
    """What chooses evidence: names of functions, imported when they are needed."""

    embed: EmbedOption = None
    retriever: RetrieverOption = None

    def embedding(self) -> Embed | None:
        """Return the function that turns texts into vectors; None if none was named.

        Raises:
            ConfigError: If it cannot be imported.
        """
        return None if self.embed is None else cast("Embed", _imported("--embed", self.embed))

    def retrieving(self) -> Callable[[Corpus], Retriever] | None:
        """Return what makes a retriever of a corpus; None if none was named.

        Raises:
            ConfigError: If what makes it cannot be imported.
        """
        if self.retriever is None:
            return None
        found = _imported("--retriever", self.retriever)
        return cast("Callable[[Corpus], Retriever]", found)


def grouped(command: Callable[..., object]) -> Callable[..., object]:
    """Return a command whose groups of options are options of its own, in the groups' places.

    A group is a parameter that is annotated with a dataclass of options.

    Example:
        >>> def show(corpus: str, *, how: ModelOptions) -> None:
        ...     print(corpus, how.model)
        >>> list(signature(grouped(show)).parameters)
        ['corpus', 'model', 'engine', 'dtype', 'preset']
        >>> grouped(show)(corpus="c.db", model="./m", engine="auto", dtype="auto", preset="tiny")
        c.db ./m
    """
    plain = signature(command, eval_str=True)
    groups: dict[str, Any] = {
        name: one.annotation
        for name, one in plain.parameters.items()
        if is_dataclass(one.annotation)
    }

    @wraps(command)
    def run(**values: object) -> object:
        for name, group in groups.items():
            values[name] = group(**{one.name: values.pop(one.name) for one in fields(group)})
        return command(**values)

    options: list[Parameter] = []
    for name, one in plain.parameters.items():
        if name not in groups:
            options.append(one.replace(kind=Parameter.KEYWORD_ONLY))
            continue
        types = get_type_hints(groups[name], include_extras=True)
        options += [
            Parameter(
                own.name, Parameter.KEYWORD_ONLY, default=own.default, annotation=types[own.name]
            )
            for own in fields(groups[name])
        ]
    run.__signature__ = plain.replace(parameters=options)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in options}
    return run


def check_base_url(engine: EngineName, base_url: str | None) -> None:
    """Check that an engine and the address of a server go together.

    Raises:
        ConfigError: If they do not.
    """
    if (engine == "remote") != (base_url is not None) and engine != "auto":
        raise ConfigError(
            f"engine {engine!r} and base URL {base_url!r} do not go together",
            hint="pass --base-url http://HOST:PORT/v1 with --engine remote, or without --engine",
        )


def open_simulator(
    corpus: str,
    user: str | None,
    how: ModelOptions,
    plugs: PlugOptions,
    *,
    require_reasoning: bool = False,
    trace_judge: Engine | None = None,
) -> UserSimulator:
    """Return a simulator over an existing corpus.

    Raises:
        ArtifactError: If the adapter is missing, incomplete or altered.
        AdapterLoadError: If it was trained on another model.
        ConfigError: If engine and address do not go together, or there is no such adapter.
    """
    opened = open_corpus(corpus)
    try:
        return UserSimulator(
            opened,
            user_id=user,
            model=how.model,
            engine=how.runner(),
            config=settings_of(how.preset, how.dtype, require_reasoning=require_reasoning),
            adapter=how.adapter if isinstance(how, AnsweringOptions) else "default",
            embed=plugs.embedding(),
            retriever=plugs.retrieving(),
            trace_judge=trace_judge,
        )
    except BaseException:
        opened.close()
        raise


def settings_of(preset: Preset, dtype: Dtype, *, require_reasoning: bool = False) -> PipelineConfig:
    """Return a preset; an arithmetic that was asked for holds for training too."""
    config = PipelineConfig.preset(preset)
    simulation = config.simulation.model_copy(update={"require_reasoning": require_reasoning})
    training = config.training
    if dtype not in {"auto", "float16"}:  # float16 has no room for gradients: training measures
        training = training.model_copy(update={"dtype": dtype})
    return config.model_copy(update={"simulation": simulation, "training": training})


def _imported(option: str, name: str) -> Callable[..., object]:
    """Import what `MODULE:NAME` says; modules of the current folder are found.

    Raises:
        ConfigError: If there is no such module or name, or it cannot be called.
    """
    module, _, attribute = name.partition(":")
    hint = f"for instance {option} my_module:my_function"
    if not module or not attribute:
        raise ConfigError(f"{option} is {name!r}, which is not MODULE:NAME", hint=hint)
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        found: object = getattr(import_module(module), attribute)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{option} {name!r} cannot be imported: {error}", hint=hint) from error
    if not callable(found):
        raise ConfigError(f"{option} {name!r} is {found!r}, which is not a function", hint=hint)
    return found
