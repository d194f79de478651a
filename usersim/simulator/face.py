"""`UserSimulator`: the face of the library."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Unpack

from usersim.config import Recipe
from usersim.engines import Engine, Progress
from usersim.evaluation import Arm
from usersim.simulation import Answer, Piece, stream_answer
from usersim.simulation.dialogue import Assistant, Dialogue, Scenario
from usersim.simulation.survey import Survey, SurveyResults
from usersim.simulator import saving
from usersim.simulator.arm_names import ArmName
from usersim.simulator.asking import Asked, Asker, Context, as_question, narrowed, only
from usersim.simulator.dialogue import Alone, Holding, hold_dialogue, hold_dialogues
from usersim.simulator.learning import Learner, Page
from usersim.simulator.lifecycle import Lifecycle
from usersim.simulator.measure import Measurement, Measures
from usersim.simulator.recon import Reconstruction, StageProgress
from usersim.simulator.requested import RequestSource
from usersim.simulator.run import Run, RunCost
from usersim.simulator.running import CHUNK, Runner
from usersim.simulator.sources import TraceSource
from usersim.simulator.surveys import Chosen, Kept, Manner, StoreRespondents, respondents_of
from usersim.training import StepNote, TrainedAdapter
from usersim.types import Batch

__all__ = ["UserSimulator"]


class UserSimulator(Lifecycle):
    """Answers new contexts as a person would: reasoning first, action second.

    Made by `from_corpus` or `load`. Before any training it answers from the person's history;
    once traces were selected, from the history with its kept traces; after `train`, with the
    trained adapter. The model is loaded when it is first needed.

    Args:
        corpus: What the people did.
        user_id: The person; None simulates everybody in the corpus, each by their id.
        model: Base model: `"embedded"`, a Hugging Face folder or a hub name.
        engine: Which engine, or one that is already loaded.
        config: Settings of every stage.
        report: What loading the corpus found.

    Example:
        `UserSimulator.from_corpus("ada.jsonl", user_id="ada").respond("Tea or coffee?")`
    """

    def use_adapter(self, adapter: TrainedAdapter | str | Path) -> None:
        """Answer with a trained adapter from now on.

        Raises:
            ArtifactError: If the folder is incomplete or altered, or holds a synthesiser.
        """
        self.adapter = saving.as_user_model(adapter)

    def reconstruct(
        self,
        *,
        limit: int | None = None,
        recon_engine: Engine | None = None,
        progress: StageProgress | None = None,
    ) -> Reconstruction:
        """Synthesise, score and select traces; goes on where it was left.

        The kept traces stand in an untrained simulator's prompts from then on (Recon-Memory).

        Args:
            limit: Interactions of each person, the newest; None takes all.
            recon_engine: Another, larger model that writes and scores the traces; None takes
                the simulator's own.
            progress: Called with (stage, done, total).
        """
        rows = self._people.train(limit)
        found = self._learner(recon_engine or self.engine).reconstruct(
            rows, synthesiser=self.synthesiser, progress=progress
        )
        self._remember(found)
        return found

    def _learner(
        self, engine: Engine, recon_engine: Engine | None = None, second: Engine | None = None
    ) -> Learner:
        return Learner(
            corpus=self.corpus,
            engine=engine,
            recon_engine=recon_engine or engine,
            config=self.config,
            histories=self._histories,
            people=self._people,
            second=second,
        )

    def train(
        self,
        *,
        recipe: Recipe = "select",
        traces: TraceSource = "recon_select",
        limit: int | None = None,
        max_minutes: float | None = None,
        recon_engine: Engine | None = None,
        second: Engine | None = None,
        progress: StageProgress | None = None,
        note: StepNote | None = None,
    ) -> TrainedAdapter:
        """Reconstruct, train the adapter (one for the person, or one shared by all) and use it.

        Interrupted at any moment and called again, it goes on and ends with the same adapter.

        Args:
            recipe: How the synthesiser is trained first: `select` not at all, `rft`, `dpo`
                or `grpo`; the synthesiser stands in `self.synthesiser` afterwards.
            traces: Where the reasoning comes from; the default is Recon-Select.
            limit: Interactions of each person, the newest; None takes all.
            max_minutes: Ends the training cleanly with the best state so far.
            recon_engine: Another, larger model that writes and scores the traces that the
                simulator's own learns from; a trained synthesiser is then one of that model.
            second: A reconstructor of another model family that stops the synthesiser's training
                when its score no longer rises (guard L8).
            progress: Called with (stage, done, total).
            note: Called with (step, steps, figures) after each step of DPO or GRPO.

        Raises:
            ConfigError: If there is no such recipe or source of traces.
            EmptySplitError: If there is nothing to learn from.
            TrainingError: If training fails; the last good checkpoint is kept.
        """
        learned = self._learner(self.engine, recon_engine, second).train(
            recipe, traces, limit=limit, max_minutes=max_minutes, progress=progress, note=note
        )
        self._remember(learned.found)
        self.synthesiser = learned.synthesiser
        self.use_adapter(learned.adapter)
        return learned.adapter

    def evaluate(  # noqa: PLR0913 - keyword-only, each a plain fact about the measurement
        self,
        *,
        arms: Sequence[ArmName] = ("others", "few_shot", "none", "random_eligible", "recon_select"),
        more: Sequence[Arm] = (),
        limit: int | None = None,
        held_out: int | None = None,
        texts: bool = False,
        judge: Engine | None = None,
        recon_engine: Engine | None = None,
        second: Engine | None = None,
        out: str | Path | None = None,
        provenance: Mapping[str, object] | None = None,
        title: str = "Held-out answers",
        progress: StageProgress | None = None,
    ) -> Measurement:
        """Measure arms against each other on answers held out; trains what is missing.

        Args:
            arms: What to compare; see `usersim.simulator.ARMS`.
            more: Arms of your own: any callable that predicts interactions.
            limit: Training interactions of each person, the newest; None takes all.
            held_out: Held-out interactions in all; None takes every one.
            texts: Also draw the open answers, and measure their text.
            judge: Also lets a language model of another family compare the drawn answers of each
                arm with those of the baseline.
            recon_engine: Another, larger model that writes and scores the traces that the
                simulator's own learns from.
            second: A reconstructor of another model family: says whether the choice of traces
                means anything to it, and stops the training of synthesisers (guard L8).
            out: Folder of the report; None writes none.
            provenance: Command and sizes, for the report.
            title: Heading of the page.
            progress: Called with (stage, done, total).

        Raises:
            EvaluationError: If nothing is held out, or the judge also selected the traces.
        """
        page = Page(out=out, provenance=provenance, title=title)
        asked = Measures(arms=arms, more=more, texts=texts, judge=judge)
        measured = self._learner(self.engine, recon_engine, second).evaluate(
            asked, limit=limit, held_out=held_out, progress=progress, **page
        )
        self._remember(measured.found)
        if "recon_select" in measured.adapters:
            self.use_adapter(measured.adapters["recon_select"])
        return measured

    def asker(self) -> Asker:
        """Return what puts questions to the people, as they would be answered now."""
        return Asker.of(self.corpus, self.config, self._histories, self.adapter, self._kept)

    def respond(
        self,
        context: Context,
        *,
        user_id: str | None = None,
        options: Sequence[str] | None = None,
        kind: str | None = None,
        explain: bool = False,
        seed: int | None = None,
    ) -> Answer:
        """Answer one context as the person would.

        Args:
            context: A text, messages, a `Question` or an observed `Interaction`.
            user_id: Who answers, where the simulator holds several people.
            options: Options of a closed question, in order.
            kind: `choice`, `scale`, `number`, `multi_choice` or `free_text`.
            explain: Also measure how far the trace moves the answer.
            seed: Reproduces the answer; None takes the configured one.

        Raises:
            UsersimError: If the answer stayed malformed; `respond_many` returns it as data.
            UserNotFoundError: If there is no such user.
        """
        asked = narrowed(context, options=options, kind=kind)
        return only(self.respond_many([asked], user_id=user_id, explain=explain, seed=seed))

    def respond_many(
        self,
        contexts: Sequence[Context],
        *,
        user_id: str | Sequence[str] | None = None,
        explain: bool = False,
        seed: int | None = None,
        progress: Progress | None = None,
    ) -> Batch[Answer]:
        """Answer many contexts in one batch; one item's failure is data.

        Args:
            contexts: What is asked.
            user_id: Who answers: one person for all, or one for each.
            explain: Also measure how far the traces move the answers.
            seed: Reproduces the answers; None takes the configured one.
            progress: Called with (items done, items).

        Raises:
            ConfigError: If `user_id` lists another number of people than contexts.
        """
        people = self._people.each(user_id, len(contexts))
        return self.asker().ask(
            self.engine, people, contexts, seed=seed, explain=explain, progress=progress
        )

    def run(
        self,
        requests: RequestSource | None = None,
        *,
        name: str | None = None,
        seed: int | None = None,
        chunk: int = CHUNK,
        progress: Progress | None = None,
    ) -> Run:
        """Answer a long list of requests, each stored once, whatever interrupts it.

        The same call goes on where it was; several clients on one store share the work.

        Args:
            requests: A file, or an iterable of (user_id, context) pairs or of rows without an
                action; None goes on with the run `name` as the store holds it.
            name: Tells the run; None tells it by its settings and requests.
            seed: Reproduces the answers; None takes the configured one.
            chunk: Requests asked at once between two commits: what a kill can lose.
            progress: Called with (items done, items).

        Raises:
            ConfigError: If nothing can be asked, or the run was begun with other settings.
            EngineUnavailableError: If the engine is gone; what is done is kept.
        """
        return self._runner(seed, chunk).run(requests, name=name, progress=progress)

    def dry_run(self, requests: RequestSource) -> RunCost:
        """Return what `run` would take, in requests and tokens; nothing is asked or stored."""
        return self._runner(None, CHUNK).cost(requests)

    def _runner(self, seed: int | None, chunk: int) -> Runner:
        traces, asker = self._traces, self.asker()
        return Runner(self.corpus, self.engine, asker, self.user_id, traces, seed, chunk)

    def respondents(self, people: Chosen = None, **how: Unpack[Kept]) -> StoreRespondents:
        """Return people, all by default, as respondents: `survey.run(sim.respondents())`."""
        return respondents_of(self._people, people, self._runner, **how)

    def survey(self, survey: Survey, people: Chosen = None, **how: Unpack[Manner]) -> SurveyResults:
        """Ask people, all by default, a survey; the same call goes on where it was."""
        return survey.run(self.respondents(people), **how)

    def dialogue(self, assistant: Assistant, goal: str = "", **how: Unpack[Alone]) -> Dialogue:
        """Let a person talk with an assistant towards a goal; see `Alone`."""
        return hold_dialogue(self, assistant, goal, **how)

    def dialogues(
        self, assistant: Assistant, scenarios: Iterable[Scenario], **how: Unpack[Holding]
    ) -> Batch[Dialogue]:
        """Hold many dialogues at once; one's failure is data. See `Holding`."""
        return hold_dialogues(self, assistant, scenarios, **how)

    async def arespond(self, context: Context, **how: Unpack[Asked]) -> Answer:
        """Answer one context without blocking the event loop; as `respond` otherwise."""
        return await asyncio.to_thread(self.respond, context, **how)

    def stream(
        self,
        context: Context,
        *,
        user_id: str | None = None,
        options: Sequence[str] | None = None,
        kind: str | None = None,
        seed: int | None = None,
    ) -> Iterator[Piece]:
        """Answer one context piece by piece: all of the reasoning, then the action.

        Yields:
            Pieces; see `respond` for the arguments.
        """
        question = as_question(context, options=options, kind=kind)
        item = self.asker().item(self._people.one(user_id), question, seed=seed)
        yield from stream_answer(
            self.engine, item, config=self.config.simulation, history=self.config.history
        )
