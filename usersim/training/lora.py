# pyright: basic
"""LoRA on a causal language model: attach, compute the loss of a packed row, save.

The rim to torch and peft: everything here takes and returns our own frozen types or tensors.
Knows models and adapters; knows nothing of runs, checkpoints or users.
"""

from __future__ import annotations

import json
import random
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from usersim.engines.decoding import forward_row
from usersim.errors import TrainingError
from usersim.training.batches import KINDS, MicroBatch
from usersim.training.schedule import Evaluation

if TYPE_CHECKING:
    import torch

__all__ = [
    "adapted",
    "batch_loss",
    "evaluate",
    "max_tokens",
    "own_randomness",
    "save_adapter",
    "spoilt_weight",
    "target_logprobs",
]

ADAPTER = "default"
"""Name inside peft; the one that plain peft loads without being told."""
WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"


@contextmanager
def own_randomness(seed: int) -> Generator[None]:
    """Seed every generator inside, and give the caller's states back afterwards.

    Yields:
        Nothing.
    """
    import torch

    python, legacy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the trainer seeds it
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(legacy)  # noqa: NPY002


@contextmanager
def adapted(model: Any, *, rank: int, alpha: int) -> Generator[Any]:
    """Give a model a fresh adapter on all its linear layers, and take it off afterwards.

    The model's own weights are never changed; what peft changes in it (layers, gradients,
    mode) is put back.

    Args:
        model: A causal language model without adapters.
        rank: LoRA rank.
        alpha: Scaling numerator.

    Yields:
        The peft model, whose adapter alone is trainable.

    Raises:
        TrainingError: If the model carries an adapter already.
    """
    from peft import LoraConfig, get_peft_model

    if getattr(model, "peft_config", None):
        raise TrainingError(
            f"the model {model.name_or_path!r} carries an adapter already",
            hint="pass model=None, so that the base model is loaded afresh",
            cli_hint="rerun the command: it loads the base model afresh",
        )
    training, gradients = model.training, [p.requires_grad for p in model.parameters()]
    parameters = list(model.parameters())
    peft_config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=0.0,
        target_modules="all-linear",
        task_type="CAUSAL_LM",
    )
    peft_model = get_peft_model(model, peft_config, adapter_name=ADAPTER)
    try:
        yield peft_model
    finally:
        peft_model.unload()
        if hasattr(model, "peft_config"):
            del model.peft_config
        for parameter, needed in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(needed)
        model.train(training)


def max_tokens(model: Any) -> int | None:
    """Return how many tokens the model takes; None if it has no limit."""
    return getattr(model.config, "max_position_embeddings", None)


def target_logprobs(model: Any, batch: MicroBatch) -> torch.Tensor:
    """Return log p of each target of a micro-batch, nats. Shape `(p,)`.

    The vocabulary head runs on the nodes that predict a target, and on no other.
    """
    import torch

    keep = torch.from_numpy(batch.nodes)
    logits = forward_row(model, batch.row, keep=keep, use_cache=False).logits[0].float()  # (m, v)
    source = torch.from_numpy(batch.source).to(logits.device)
    target = torch.from_numpy(batch.target).to(logits.device)
    return logits[source, target] - logits.logsumexp(-1)[source]


def batch_loss(model: Any, batch: MicroBatch, reasoning_weight: float) -> torch.Tensor:
    """Return the mean over examples of the weighted means over tokens, nats; a scalar."""
    import torch

    logprobs = target_logprobs(model, batch)
    weights = torch.from_numpy(batch.weights(reasoning_weight)).to(logprobs.device)
    return -(weights * logprobs).sum()


def evaluate(model: Any, batches: Sequence[MicroBatch], step: int) -> Evaluation:
    """Return the mean log-likelihood of the actions in `batches`, with and without traces."""
    import torch

    totals = dict.fromkeys(KINDS, 0.0)
    training = model.training
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            logprobs = target_logprobs(model, batch).double().cpu().numpy()
            sums = np.bincount(batch.kind, weights=batch.share * logprobs, minlength=len(KINDS))
            for kind, value in zip(KINDS, sums, strict=True):
                totals[kind] += float(value)
            # An example without a trace has the marker in both figures.
            bare = batch.bare
            totals["action_alone"] += float((batch.share * logprobs)[bare].sum())
    model.train(training)
    n_examples = sum(batch.n_examples for batch in batches)
    return Evaluation(
        step=step,
        action_logprob=totals["action"] / n_examples,
        action_logprob_alone=totals["action_alone"] / n_examples,
    )


def _tensors(peft_model: Any) -> dict[str, torch.Tensor]:
    from peft import get_peft_model_state_dict

    state = get_peft_model_state_dict(peft_model, adapter_name=ADAPTER, save_embedding_layers=False)
    return {name: tensor.detach().cpu().contiguous() for name, tensor in state.items()}


def spoilt_weight(peft_model: Any) -> str | None:
    """Return the name of an adapter weight that is not finite; None if all are."""
    for name, tensor in _tensors(peft_model).items():
        if not bool(tensor.isfinite().all()):
            return name
    return None


def save_adapter(peft_model: Any, folder: Path, *, base_model: str) -> None:
    """Write the adapter in PEFT's format, the same bytes for the same weights.

    Args:
        peft_model: From `adapted`.
        folder: An existing folder.
        base_model: Name of the base model as it was asked for. A path into this machine's
            cache would say nothing elsewhere.
    """
    from safetensors.torch import save_file

    save_file(_tensors(peft_model), folder / WEIGHTS_FILE, metadata={"format": "pt"})
    # peft holds the target modules as a set, whose order differs from process to process.
    config = {
        key: sorted(value) if isinstance(value, set | frozenset) else value
        for key, value in peft_model.peft_config[ADAPTER].to_dict().items()
    }
    config |= {"base_model_name_or_path": base_model, "inference_mode": True}
    text = json.dumps(config, indent=2, sort_keys=True)
    (folder / CONFIG_FILE).write_text(text + "\n", encoding="utf-8")
