# pyright: basic
"""Recon-GRPO: the reconstruction score is the reward that trains the synthesizer.

trl's `GRPOTrainer` carries the objective, the divergence from the frozen base (the same weights
with the adapter switched off), devices and resuming. Ours are the draws, which come from an
engine, their rewards, and the likelihoods: a group shares its prompt, so it is computed once.
Knows tokens, groups and rewards; knows nothing of what a trace is about.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from usersim.config import SynthesizerConfig
from usersim.engines.packing import pack
from usersim.engines.transformers.decoding import forward_row
from usersim.training.dataset import Encoder
from usersim.training.lora import own_randomness
from usersim.training.rollouts import PolicyFolders, Rollouts, has_spread, step_figures
from usersim.training.run import (
    TrainingRun,
    drop_reference_copy,
    follow,
    guided,
    on_one_device,
    optimizers,
    quiet_arguments,
    trl_warnings,
)
from usersim.transcript import CLOSE, OPEN, prefix
from usersim.types import RewardedTrace, TracePrompt

if TYPE_CHECKING:
    import torch

__all__ = ["Policy", "shared_logprobs", "trace_tokens", "train_policy"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a run of GRPO needs beside its `TrainingRun`.

    Attributes:
        prompts: What is asked, in the order of the steps: `config.prompts` of them a step.
        rollouts: Draws traces and says what each is worth.
        encoder: Turns prompts and traces into the engine's tokens.
        tokenizer: The model's; trl asks for it.
        config: The settings.
        max_tokens: Token limit of a draw.
        whole_turns: Whether what is drawn is the whole turn, reasoning and action, and not the
            reasoning alone.
    """

    prompts: Sequence[TracePrompt]
    rollouts: Rollouts
    encoder: Encoder
    tokenizer: Any
    config: SynthesizerConfig
    max_tokens: int
    whole_turns: bool = False


def trace_tokens(
    encoder: Encoder, trace: str, *, readable: bool = True, whole_turn: bool = False
) -> list[int]:
    """Return the tokens that a synthesizer writes for a trace, the closing tag included.

    A trace that could not be read is taken as it was drawn, and closed. A whole turn has its
    closing tag in itself, and ends with the end of the turn.
    """
    if whole_turn:
        return encoder.continuation(trace, end=True)
    text = prefix(trace).removeprefix(OPEN) if readable else trace + CLOSE
    return encoder.continuation(text, end=False)


def shared_logprobs(
    model: Any, sequences: Sequence[Sequence[int]], starts: Sequence[int], *, temperature: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log p and entropy of every token from `starts` on; what is shared is computed once.

    Args:
        model: A causal language model.
        sequences: Token ids. Length `b`.
        starts: Place of the first token that counts in each.
        temperature: The logits are divided by it.

    Returns:
        Log-probabilities, which carry gradients where they are on, and entropies, which do not;
        nats. Shape `(b, t)`, `t` the most tokens that count; 0 where a sequence has fewer.
    """
    import torch

    longest = max(len(s) - start for s, start in zip(sequences, starts, strict=True))
    places: list[Any] = []
    found: list[Any] = []
    spread: list[Any] = []
    for members in _by_prompt(sequences, starts):
        (row,) = pack([sequences[m] for m in members], row_tokens=sys.maxsize)
        nodes, targets, where = [], [], []
        for path, member in zip(row.paths, row.members, strict=True):
            start = starts[members[member]]
            nodes.append(path[start - 1 : -1])
            targets.append(row.tokens[path[start:]])
            where.append(members[member] * longest + np.arange(len(path) - start))
        keep, source = np.unique(np.concatenate(nodes), return_inverse=True)
        output = forward_row(model, row, keep=torch.from_numpy(keep), use_cache=False)
        normed = (output.logits[0].float() / temperature).log_softmax(-1)  # (m, v)
        index = torch.from_numpy(source.astype(np.int64)).to(normed.device)
        target = torch.from_numpy(np.concatenate(targets)).to(normed.device)
        places.append(torch.from_numpy(np.concatenate(where)).to(normed.device))
        found.append(normed[index, target])
        with torch.no_grad():
            spread.append(-(normed.exp() * normed).sum(-1)[index])
    place = torch.cat(places)
    shape = (len(sequences), longest)
    flat = torch.zeros(len(sequences) * longest, device=place.device)
    return (
        flat.index_put((place,), torch.cat(found)).view(shape),
        flat.index_put((place,), torch.cat(spread)).view(shape),
    )


def _by_prompt(sequences: Sequence[Sequence[int]], starts: Sequence[int]) -> list[list[int]]:
    """Return which sequences go on from the same prompt."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for index, (sequence, start) in enumerate(zip(sequences, starts, strict=True)):
        groups.setdefault(tuple(sequence[:start]), []).append(index)
    return list(groups.values())


class _Drawing:
    """Fills trl's batches: draws from the current weights, rewards, masks what teaches nothing."""

    def __init__(self, policy: Policy, run: TrainingRun) -> None:
        self.policy = policy
        self.run = run
        self.folders = PolicyFolders(run.checkpoints.folder, run.base_model)

    def __call__(self, keys: list[str], trainer: Any) -> dict[str, Any]:
        policy, group = self.policy, self.policy.config.group
        step = trainer.state.global_step
        asked = [policy.prompts[int(key)] for key in keys[::group]]
        model = trainer.accelerator.unwrap_model(trainer.model)
        ref = self.folders.write(model, step)
        seed = policy.config.seed * 1_000_003 + step
        # An engine that loads an adapter uses up random numbers; those of the run are its own.
        with own_randomness(seed):
            groups = policy.rollouts(asked, adapter=ref, n=group, seed=seed)
        self.run.history.figures.append(step_figures(groups))
        return self._batch(asked, [self._filled(traces) for traces in groups])

    def _filled(self, traces: Sequence[RewardedTrace]) -> Sequence[RewardedTrace]:
        """Keep the shape of the batch where a prompt failed; such a group is masked."""
        nothing = RewardedTrace(reasoning="", reward=0.0, components={}, cut=True, readable=False)
        return [*traces, *[nothing] * (self.policy.config.group - len(traces))]

    def _batch(
        self, asked: Sequence[TracePrompt], groups: Sequence[Sequence[RewardedTrace]]
    ) -> dict[str, Any]:
        encoder = self.policy.encoder
        batch: dict[str, Any] = {
            "prompt_ids": [],
            "completion_ids": [],
            "logprobs": None,
            "env_mask": [],
            "reward": [],
        }
        for prompt, traces in zip(asked, groups, strict=True):
            tokens = encoder.prompt(prompt.messages, OPEN)
            teaches = has_spread(traces)
            for one in traces:
                drawn = trace_tokens(
                    encoder,
                    one.reasoning,
                    readable=one.readable,
                    whole_turn=self.policy.whole_turns,
                )
                batch["prompt_ids"].append(tokens)
                batch["completion_ids"].append(drawn)
                # A draw that was cut is not what the synthesizer would have written.
                batch["env_mask"].append([int(teaches and not one.cut)] * len(drawn))
                batch["reward"].append(one.reward)
        return batch


def reconstruction(*, reward: list[float], **_: object) -> list[float]:
    """Return the rewards that came with the draws: trl's form of a reward function."""
    return reward


def _trainer_class() -> Any:
    """Return our `GRPOTrainer`; made here, because trl is heavy."""
    from trl.trainer.grpo_trainer import GRPOTrainer

    class ReconGRPOTrainer(guided(GRPOTrainer)):
        def _get_per_token_logps_and_entropies(
            self, model: Any, input_ids: Any, attention_mask: Any, logits_to_keep: int, **_: Any
        ) -> tuple[Any, Any, None]:
            sequences, starts = [], []
            width = input_ids.shape[1] - logits_to_keep
            for tokens, mask in zip(input_ids, attention_mask, strict=True):
                sequences.append(tokens[mask.bool()].tolist())
                starts.append(int(mask[:width].sum()))
            logps, entropies = shared_logprobs(
                model, sequences, starts, temperature=self.temperature
            )
            return logps, entropies, None

        def training_step(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().training_step(*args, **kwargs)
            kl = self._metrics["train"].get("kl") or [0.0]
            self.run.history.figures[-1] |= {"kl": float(kl[-1]), "loss": float(loss)}
            self._metrics["train"].clear()  # kept in the run's own history
            self.run.after_figures()
            return loss

    return ReconGRPOTrainer


def _arguments(policy: Policy, run: TrainingRun, device: Any) -> Any:
    from trl.trainer.grpo_config import GRPOConfig

    config = policy.config
    return GRPOConfig(
        per_device_train_batch_size=config.prompts * config.group,
        num_generations=config.group,
        gradient_accumulation_steps=1,
        steps_per_generation=1,
        max_completion_length=policy.max_tokens,
        temperature=config.temperature,
        beta=config.grpo_beta,
        loss_type="dr_grpo",
        scale_rewards="none",
        shuffle_dataset=False,
        gradient_checkpointing=False,
        bf16=False,
        seed=config.seed,
        **quiet_arguments(run, device),
    )


def train_policy(peft_model: Any, run: TrainingRun, policy: Policy) -> None:
    """Do what remains of a run.

    Args:
        peft_model: A model whose adapter is trainable and fresh.
        run: The run; its checkpoints are gone on from.
        policy: Prompts, draws and settings.

    Raises:
        DivergedError: If the loss is not finite.
    """
    from datasets import Dataset

    if run.stop is not None:
        return
    keys = [str(index) for index in range(len(policy.prompts))]
    with trl_warnings():
        trainer = _trainer_class()(
            model=peft_model,
            reward_funcs=reconstruction,
            args=on_one_device(_arguments(policy, run, peft_model.device)),
            train_dataset=Dataset.from_dict({"prompt": keys}),
            processing_class=policy.tokenizer,
            rollout_func=_Drawing(policy, run),
            optimizers=optimizers(peft_model, run, policy.config.grpo_learning_rate),
        )
    drop_reference_copy(peft_model)
    follow(trainer, run)
