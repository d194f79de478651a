"""Training the synthesizer on the tiny model: each recipe learns, resumes and is measured."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.fixtures.children import Nursery
from usersim.config import SynthesizerConfig
from usersim.engines import AdapterRef, Engine, GenerateRequest
from usersim.engines.base import ScoreRequest
from usersim.engines.transformers.engine import TransformersEngine
from usersim.errors import NoTrainingDataError, TrainingError
from usersim.training import (
    Hooks,
    PairLesson,
    Probe,
    RewardLesson,
    TraceEvaluation,
    TraceLesson,
    TrainedAdapter,
    load_artifact,
    train_synthesizer,
)
from usersim.transcript import OPEN
from usersim.types import RewardedTrace, TraceExample, TracePair, TracePrompt

GOOD, BAD = "the rain the rain", "so they walked"
PROMPTS = [
    TracePrompt(
        key=f"key-{n}",
        user_id=f"user{n % 2}",
        direction="forward" if n % 2 else "backward",
        messages=(("system", "Write."), ("user", f"The garden, number {n}?")),
    )
    for n in range(6)
]
CONFIG = SynthesizerConfig(
    rank=4,
    rft_learning_rate=0.02,
    rft_epochs=6.0,
    batch_tokens=256,
    dpo_learning_rate=0.01,
    dpo_epochs=8.0,
    dpo_batch=3,
    grpo_learning_rate=0.003,
    grpo_steps=16,
    grpo_beta=0.02,
    group=16,
    prompts=3,
    evaluations=3,
)
BRIEF = CONFIG.model_copy(update={"dpo_epochs": 3.0, "grpo_steps": 6, "group": 4})
"""For what is about a run's course and not about what is learned in it: six steps."""
TOKENS = 12


class Letters:
    """Draws from the tiny model; a trace is worth the share of `a` among its characters."""

    def __init__(self, model: str | Path, engine: Engine | None = None) -> None:
        self.engine = engine or TransformersEngine(str(model))

    def __call__(
        self, prompts: list[TracePrompt], *, adapter: AdapterRef | None, n: int, seed: int
    ) -> list[tuple[RewardedTrace, ...]]:
        """Draw `n` traces for each prompt."""
        requests = [
            GenerateRequest(
                prompt=prompt.messages,
                prefix=OPEN,
                max_tokens=TOKENS,
                n=n,
                seed=seed + place,
                adapter=adapter,
                stop=("</think>",),
            )
            for place, prompt in enumerate(prompts)
        ]
        return [
            tuple(
                RewardedTrace(
                    reasoning=draw.text,
                    reward=(worth := 10 * draw.text.count("a") / max(1, len(draw.text))),
                    components={"reward": worth, "tokens": float(draw.n_tokens)},
                    cut=False,  # the tiny model never ends a trace
                    readable=False,
                )
                for draw in draws
            )
            for draws in self.engine.generate(requests)
        ]

    def probe(self, adapter: AdapterRef | None, step: int) -> TraceEvaluation:
        """Measure as the training does, on its own prompts."""
        traces = [one for many in self(PROMPTS, adapter=adapter, n=8, seed=99) for one in many]
        gain = sum(one.reward for one in traces) / len(traces)
        return TraceEvaluation(
            step=step, gain=gain, second_gain=None, reward=gain, malformed=0.0, refused=0.0, n=48
        )


def reward_lesson(model: str | Path) -> RewardLesson:
    """Return the lesson that pays for the letter `a`."""
    return RewardLesson(
        prompts=PROMPTS, rollouts=Letters(model), identity="letters", max_tokens=TOKENS
    )


def train_policy(
    model: str | Path, out: Path, hooks: Hooks = Hooks(), config: SynthesizerConfig = CONFIG
) -> TrainedAdapter:
    """Train on the letters."""
    lesson = reward_lesson(model)
    return train_synthesizer(
        lesson,
        base_model=str(model),
        out_dir=out,
        config=config,
        name="w",
        hooks=hooks,
        probe=Probe(lesson.rollouts.probe, "letters"),
    )


def likelihood(engine: TransformersEngine, text: str, adapter: AdapterRef | None) -> float:
    """Return the mean log p of a trace after every prompt."""
    requests = [
        ScoreRequest(prompt=p.messages, prefix=OPEN, continuation=text, end=False, adapter=adapter)
        for p in PROMPTS
    ]
    return sum(score.mean() for score in engine.score(requests)) / len(requests)


def test_the_reward_rises_and_the_held_out_figure_with_it(tiny_model, tmp_path):
    """GRPO makes what is paid for more frequent, on fresh draws too, and stores every step."""
    adapter = train_policy(tiny_model, tmp_path)
    record = adapter.manifest.synthesizer
    assert record.recipe == "grpo"
    assert record.after.gain > record.before.gain + 0.05
    assert len(record.figures) == len(adapter.losses) == 16
    assert {"reward", "spread", "kl", "loss", "tokens", "flat_groups"} <= set(record.figures[0])
    assert record.figures[-1]["kl"] > record.figures[0]["kl"] == pytest.approx(0.0, abs=1e-6)
    assert sum(f["reward"] for f in record.figures[-3:]) > sum(
        f["reward"] for f in record.figures[:3]
    )


def test_kept_traces_become_likelier_and_nothing_else_is_needed(tiny_model, tmp_path):
    """One round of expert iteration makes its traces likelier under their own prompts."""
    lesson = TraceLesson([TraceExample(prompt, GOOD) for prompt in PROMPTS])
    adapter = train_synthesizer(lesson, base_model=str(tiny_model), out_dir=tmp_path, config=CONFIG)
    engine = TransformersEngine(str(tiny_model))
    assert likelihood(engine, GOOD, adapter.ref) > likelihood(engine, GOOD, None) + 1.0
    assert adapter.manifest.synthesizer.recipe == "rft"
    assert adapter.manifest.users == ("user0", "user1")


def test_the_better_trace_of_a_pair_gains_on_the_worse(tiny_model, tmp_path):
    """DPO widens the distance between chosen and rejected, and notes margin and accuracy."""
    lesson = PairLesson([TracePair(prompt, GOOD, BAD, "gain") for prompt in PROMPTS])
    adapter = train_synthesizer(lesson, base_model=str(tiny_model), out_dir=tmp_path, config=CONFIG)
    engine = TransformersEngine(str(tiny_model))

    def distance(ref: AdapterRef | None) -> float:
        return likelihood(engine, GOOD, ref) - likelihood(engine, BAD, ref)

    assert distance(adapter.ref) > distance(None) + 0.2
    first, *_, last = adapter.manifest.synthesizer.figures
    assert first["margin"] == pytest.approx(0.0, abs=1e-5)
    assert last["margin"] > 0.1
    assert last["accuracy"] == 1.0


def test_the_first_loss_of_dpo_is_that_of_the_formula(tiny_model, tmp_path):
    """Before any step policy and reference agree, so the loss is log 2 whatever the pairs."""
    lesson = PairLesson([TracePair(prompt, GOOD, BAD, "leak") for prompt in PROMPTS])
    adapter = train_synthesizer(lesson, base_model=str(tiny_model), out_dir=tmp_path, config=CONFIG)
    assert adapter.losses[0] == pytest.approx(0.6931, abs=1e-3)


def test_however_many_pairs_a_step_has_one_is_computed_at_a_time(tiny_model, tmp_path):
    """Memory is bounded by the longest pair, and a step is still that of all its pairs."""
    import torch

    shapes: set[int] = set()

    def note(module, args):
        if isinstance(module, torch.nn.Embedding):
            shapes.add(args[0].shape[0])

    # Ten pairs in steps of four, and too slow to learn: every step's loss is log 2.
    slow = {"dpo_epochs": 10 / 6, "dpo_batch": 4, "dpo_learning_rate": 1e-12, "evaluations": 1}
    config = CONFIG.model_copy(update=slow)
    lesson = PairLesson([TracePair(prompt, GOOD, BAD, "gain") for prompt in PROMPTS])
    hook = torch.nn.modules.module.register_module_forward_pre_hook(note)
    try:
        adapter = train_synthesizer(
            lesson, base_model=str(tiny_model), out_dir=tmp_path, config=config
        )
    finally:
        hook.remove()
    assert shapes == {2}, "chosen and rejected of one pair"
    record = adapter.manifest.synthesizer
    assert len(adapter.losses) == len(record.figures) == adapter.manifest.planned_steps == 3
    assert adapter.losses == pytest.approx([0.6931] * 3, abs=1e-3)
    assert [figures["loss"] for figures in record.figures] == list(adapter.losses)


@pytest.mark.parametrize("spoil", ["cut", "flat"])
def test_what_teaches_nothing_changes_nothing(tiny_model, tmp_path, spoil):
    """A draw that was cut and a group without spread leave the weights as they were."""
    letters = Letters(tiny_model)

    def rollouts(prompts, **how):
        return [
            tuple(
                RewardedTrace(
                    reasoning=one.reasoning,
                    reward=one.reward if spoil == "cut" else 0.5,
                    components=one.components,
                    cut=spoil == "cut",
                    readable=False,
                )
                for one in many
            )
            for many in letters(prompts, **how)
        ]

    lesson = RewardLesson(prompts=PROMPTS, rollouts=rollouts, identity=spoil, max_tokens=TOKENS)
    config = CONFIG.model_copy(update={"grpo_steps": 2})
    adapter = train_synthesizer(lesson, base_model=str(tiny_model), out_dir=tmp_path, config=config)
    engine = TransformersEngine(str(tiny_model))
    assert likelihood(engine, GOOD, adapter.ref) == pytest.approx(
        likelihood(engine, GOOD, None), abs=1e-6
    )


def test_likelihoods_over_a_shared_prompt_are_those_of_plain_passes(tiny_model):
    """What is computed once for a group equals a pass over each sequence, gradients included."""
    import torch

    from usersim.engines.loading import load_model
    from usersim.training.policy import shared_logprobs

    model = load_model(tiny_model, dtype="float32", device="cpu")
    sequences = [[5, 6, 7, 8, 9], [5, 6, 7, 10], [3, 4, 11, 12], [5, 6, 7, 8, 13, 14]]
    starts = [3, 3, 2, 3]
    weight = model.get_input_embeddings().weight
    weight.requires_grad_(True)
    found, entropies = shared_logprobs(model, sequences, starts, temperature=0.7)
    (ours,) = torch.autograd.grad(found.sum(), weight)
    plain = torch.zeros_like(found)
    for row, (tokens, start) in enumerate(zip(sequences, starts, strict=True)):
        logits = model(input_ids=torch.tensor([tokens])).logits[0] / 0.7
        logp = logits.log_softmax(-1)
        for place in range(start, len(tokens)):
            plain[row, place - start] = logp[place - 1, tokens[place]]
            entropy = -(logp[place - 1].exp() * logp[place - 1]).sum()
            assert entropies[row, place - start].item() == pytest.approx(entropy.item(), abs=1e-4)
    assert torch.allclose(found, plain, atol=1e-4)
    (theirs,) = torch.autograd.grad(plain.sum(), weight)
    assert torch.allclose(ours, theirs, atol=1e-3)


KILLED = """
import os, signal, sys
from pathlib import Path
from tests.integration import test_training_synthesizer as t
from usersim.training import Hooks

model, out, recipe, step = sys.argv[1:]

def die(stage, done, total):
    if done == int(step):
        os.kill(os.getpid(), signal.SIGKILL)

t.run(recipe, model, Path(out), Hooks(progress=die))
"""


def run(recipe: str, model: str | Path, out: Path, hooks: Hooks = Hooks()) -> TrainedAdapter:
    """Train by a recipe with checkpoints often enough to be cut off between two."""
    if recipe == "grpo":
        return train_policy(model, out, hooks, BRIEF)
    lesson = PairLesson([TracePair(prompt, GOOD, BAD, "gain") for prompt in PROMPTS])
    return train_synthesizer(
        lesson,
        base_model=str(model),
        out_dir=out,
        config=BRIEF,
        name="w",
        hooks=hooks,
        probe=Probe(Letters(model).probe, "letters"),
    )


@pytest.mark.parametrize("recipe", [pytest.param("grpo", marks=pytest.mark.slow), "dpo"])
def test_a_killed_run_ends_as_if_nothing_had_happened(
    tiny_model, tmp_path, recipe, learners: Nursery
):
    """`kill -9` between two checkpoints, then the same call: the same adapter, byte for byte."""
    whole = run(recipe, tiny_model, tmp_path / "whole")
    step = 2 + whole.manifest.planned_steps // 3
    done = learners.run(KILLED, tiny_model, tmp_path / "cut", recipe, step)
    assert done.returncode == -signal.SIGKILL, done.stderr[-2000:]
    assert not list((tmp_path / "cut").glob("*/usersim.json"))
    steps: list[int] = []
    resumed = run(
        recipe, tiny_model, tmp_path / "cut", Hooks(progress=lambda _, done, __: steps.append(done))
    )
    assert steps[0] > 1, "it began again"
    assert resumed.ref.digest == whole.ref.digest
    assert resumed.manifest.losses == whole.manifest.losses
    assert resumed.manifest.synthesizer.figures == whole.manifest.synthesizer.figures


def test_the_clock_ends_a_run_with_what_there_is_and_the_next_call_goes_on(tiny_model, tmp_path):
    """With no time left a run stops after a step, says so, and is taken up again."""
    first = train_policy(tiny_model, tmp_path, Hooks(max_minutes=0.0), BRIEF)
    assert first.manifest.stopped == "time"
    assert first.manifest.steps == 1
    second = train_policy(tiny_model, tmp_path, config=BRIEF)
    assert second.manifest.stopped in {"complete", "stalled"}
    assert load_artifact(second.folder).manifest.synthesizer.recipe == "grpo"
    assert train_policy(tiny_model, tmp_path, config=BRIEF).ref == second.ref  # done is done


def test_an_empty_lesson_is_refused_with_the_next_step(tiny_model, tmp_path):
    """Nothing to learn from is an error that says what to do, before anything is trained."""
    with pytest.raises(NoTrainingDataError, match="there is no kept trace"):
        train_synthesizer(TraceLesson([]), base_model=str(tiny_model), out_dir=tmp_path)


def test_a_prompt_that_does_not_fit_is_refused_alone(tiny_model, tmp_path):
    """A prompt longer than the model takes is reported; the others are trained on."""
    long = TracePrompt(
        key="long", user_id="user9", direction="forward", messages=(("user", "rain " * 4000),)
    )
    lesson = TraceLesson([TraceExample(prompt, GOOD) for prompt in [*PROMPTS, long]])
    adapter = train_synthesizer(lesson, base_model=str(tiny_model), out_dir=tmp_path, config=CONFIG)
    (failure,) = adapter.manifest.refused
    assert failure.item == "long"
    assert adapter.manifest.counts.train == len(PROMPTS)


def test_rewards_that_fail_end_the_run_with_its_name(tiny_model, tmp_path):
    """An error inside the rewards comes back as one error that names the synthesizer."""

    def broken(*_: object, **__: object):
        raise RuntimeError("no reward today")

    lesson = RewardLesson(prompts=PROMPTS, rollouts=broken, identity="x", max_tokens=TOKENS)
    with pytest.raises(TrainingError, match=r"synthesizer 'ada'.*no reward today"):
        train_synthesizer(lesson, base_model=str(tiny_model), out_dir=tmp_path, name="ada")


def test_another_measure_is_another_run(tiny_model, tmp_path):
    """What decides when a run stops is part of its identity: naming another one trains again."""
    lesson = TraceLesson([TraceExample(prompt, GOOD) for prompt in PROMPTS])
    found = {
        train_synthesizer(
            lesson,
            base_model=str(tiny_model),
            out_dir=tmp_path,
            config=CONFIG,
            probe=Probe(Letters(tiny_model).probe, identity),
        ).manifest.fingerprint
        for identity in ("first", "second", "first")
    }
    assert len(found) == 2
