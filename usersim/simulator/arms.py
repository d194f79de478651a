"""The simulator's own arms: base model and adapters, with and without reasoning.

One pass over an item yields the likelihood with each drawn trace and without any; the arms
"with reasoning", "weighted" and "reasoning off" of one adapter are three readings of that pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from usersim.config import PipelineConfig
from usersim.engines import AdapterRef, Engine
from usersim.engines.batching import each
from usersim.engines.options import OPTION_RULE
from usersim.evaluation import Arm, Shown
from usersim.prompts import templates_key
from usersim.simulation import Likelihoods, RespondItem, likelihoods, prediction
from usersim.simulation.opened import ActionRequest, draw_actions
from usersim.simulator.history import Histories, profile_of
from usersim.simulator.train import respond_item
from usersim.types import Batch, Interaction, Prediction, content_key, is_closed

__all__ = ["ModelArms"]


@dataclass(slots=True)
class ModelArms:
    """Makes arms from one engine, one corpus and one choice of weights.

    Attributes:
        engine: Runs the model.
        histories: Finds what is shown.
        config: How answers are drawn.
        shown: What of the person stands in the prompt.
        adapter: Trained weights; None for the base model.
        traces: K; 0 answers without reasoning.
        texts: Whether the answers to open questions are drawn too, not only their likelihood.
        kept: Kept reasoning by interaction key, for `shown="kept"`.
        train: The people's train split, for the facts in it: `shown="profile"` or `"persona"`.
    """

    engine: Engine
    histories: Histories
    config: PipelineConfig
    shown: Shown = "history"
    adapter: AdapterRef | None = None
    traces: int = 0
    texts: bool = False
    kept: Mapping[str, str] = field(default_factory=dict[str, str])
    train: Mapping[str, Sequence[Interaction]] = field(
        default_factory=dict[str, Sequence[Interaction]]
    )
    _done: dict[str, Likelihoods] = field(default_factory=dict[str, Likelihoods])

    def arm(self, name: str, description: str, *, weight: float = 1.0) -> Arm:
        """Return an arm that reads p(a | x) at one reasoning weight.

        Args:
            name: Shown in every table.
            description: One sentence.
            weight: 1 with reasoning, 0 without, else the mixture.
        """

        def run(interactions: Sequence[Interaction]) -> Batch[Prediction]:
            self._measure(interactions)
            return Batch(tuple(self._predicted(interactions, self._done, weight)))

        return Arm(name, _one_by_one(run), description, f"{self._identity()}/w={weight!r}")

    def swapped(self, name: str, description: str, *, among: Sequence[Interaction]) -> Arm:
        """Return an arm that answers after the traces of another context of the same person.

        Where an answer follows its reasoning, another context's reasoning misleads it (guard L5,
        at run time). Someone asked once has no other context: answered without reasoning, and
        distinguished by `detail["donor"]`.

        Args:
            name: Shown in every table.
            description: One sentence.
            among: Everything that is asked; each item's donor is the person's next one in it.
        """
        donors = _donors(among)

        def run(interactions: Sequence[Interaction]) -> Batch[Prediction]:
            givers = [donors.get(i.key) for i in interactions]
            self._measure([giver for giver in givers if giver is not None])
            given = [self._done[g.key].reasonings if g is not None else () for g in givers]
            done = self._likelihoods(interactions, given)
            made = self._predicted(interactions, done, 1.0)
            return Batch(
                tuple(
                    replace(one, detail={**one.detail, "donor": giver.key if giver else None})
                    for one, giver in zip(made, givers, strict=True)
                )
            )

        identity = content_key(sorted((key, giver.key) for key, giver in donors.items()))
        return Arm(
            name, _one_by_one(run), description, f"{self._identity()}/swapped={identity[:16]}"
        )

    def _identity(self) -> str:
        return content_key(
            self.engine.identity,
            templates_key(),
            OPTION_RULE,
            self.config.history.key,
            self.config.simulation.key,
            self.shown,
            self.adapter.digest if self.adapter else None,
            self.traces,
            sorted(self.kept.items()),
            *(["texts"] if self.texts else []),
        )

    def _measure(self, interactions: Sequence[Interaction]) -> None:
        """Measure what was not measured yet."""
        missing = {i.key: i for i in interactions if i.key not in self._done}
        self._done.update(self._likelihoods(list(missing.values()), None))

    def _likelihoods(
        self, interactions: Sequence[Interaction], reasonings: Sequence[Sequence[str]] | None
    ) -> dict[str, Likelihoods]:
        settings = self.config.simulation.model_copy(update={"traces": self.traces})
        found = likelihoods(
            self.engine,
            [(self._item(i), i.action) for i in interactions],
            reasonings=reasonings,
            config=settings,
            history=self.config.history,
        )
        return {i.key: one for i, one in zip(interactions, found, strict=True)}

    def _predicted(
        self, interactions: Sequence[Interaction], done: Mapping[str, Likelihoods], weight: float
    ) -> list[Prediction]:
        actions = self._actions(interactions, done, weight) if self.texts else {}
        return [
            prediction(done[i.key], i.question, weight, action=actions.get(i.key, ""))
            for i in interactions
        ]

    def _actions(
        self, interactions: Sequence[Interaction], done: Mapping[str, Likelihoods], weight: float
    ) -> dict[str, str | None]:
        """Draw the answers to open questions, after the first trace that was read."""
        opened = [i for i in interactions if not is_closed(i.space)]
        requests: list[ActionRequest] = []
        for one in opened:
            item, read = self._item(one), done[one.key].reasonings
            requests.append(
                ActionRequest(
                    prompt=item.prompt(self.config.history),
                    reasoning=read[0] if read and weight else "",
                    space=one.space,
                    seed=item.seed,
                    adapter=item.adapter,
                )
            )
        drawn = draw_actions(self.engine, requests, self.config.simulation)
        return {
            one.key: None if result.action is None else one.space.render(result.action)
            for one, result in zip(opened, drawn, strict=True)
        }

    def _item(self, interaction: Interaction) -> RespondItem:
        history: tuple[Interaction, ...] = ()
        facts = self.shown in {"profile", "persona"}
        if not facts:
            history = self.histories.of(interaction.user_id, interaction.question, before=None)
        item = respond_item(interaction, history, seed=self.config.simulation.seed)
        return replace(
            item,
            adapter=self.adapter,
            reasonings={
                past.key: self.kept[past.key] for past in history if self.kept.get(past.key)
            },
            profile=profile_of(self.train.get(interaction.user_id, ())) if facts else None,
            persona=self.shown == "persona",
        )


def _one_by_one(
    run: Callable[[Sequence[Interaction]], Batch[Prediction]],
) -> Callable[[Sequence[Interaction]], Batch[Prediction]]:
    """Return `run` such that one item's failure is data, not the end of its batch."""
    return lambda interactions: each(interactions, run, lambda interaction: interaction.key)


def _donors(among: Sequence[Interaction]) -> dict[str, Interaction]:
    """Return, for each item, the same person's next one with another context."""
    found: dict[str, Interaction] = {}
    for person in {i.user_id for i in among}:
        own = [i for i in among if i.user_id == person]
        for place, one in enumerate(own):
            turned = own[place + 1 :] + own[:place]
            donor = next((other for other in turned if other.context != one.context), None)
            if donor is not None:
                found[one.key] = donor
    return found
