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

from usersim.engines.transformers.decoding import forward_row
from usersim.errors import TrainingError
from usersim.training.batches import MicroBatch
from usersim.training.schedule import ActionEvaluation
from usersim.types.counting import counted

if TYPE_CHECKING:
    import torch

__all__ = [
    "adapted",
    "batch_loss",
    "decision_logprobs",
    "evaluate",
    "max_tokens",
    "own_randomness",
    "save_adapter",
    "spoilt_weight",
    "term_logprobs",
]

ADAPTER = "default"
"""Name inside peft; the one that plain peft loads by default."""
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
def adapted(model: Any, *, rank: int, alpha: int, start: Path | None = None) -> Generator[Any]:
    """Give a model an adapter on all its linear layers, and take it off afterwards.

    The model's own weights are never changed; what peft changes in it (layers, gradients,
    mode) is put back. The adapter's weights are float32, whatever the model's are.

    Args:
        model: A causal language model without adapters.
        rank: LoRA rank.
        alpha: Scaling numerator.
        start: Folder of an adapter whose weights are the first ones; None begins with fresh ones.

    Yields:
        The peft model, whose adapter alone is trainable.

    Raises:
        TrainingError: If the model already has an adapter, or `start` is one of another form.
    """
    from peft import LoraConfig, get_peft_model

    if getattr(model, "peft_config", None):
        raise TrainingError(
            f"the model {model.name_or_path!r} already has an adapter",
            hint="pass model=None, so that the base model is reloaded",
            cli_hint="rerun the command: the base model is then reloaded",
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
        if start is not None:
            _take_weights(peft_model, start)
        yield peft_model
    finally:
        peft_model.unload()
        if hasattr(model, "peft_config"):
            del model.peft_config
        for parameter, needed in zip(parameters, gradients, strict=True):
            parameter.requires_grad_(needed)
        model.train(training)


def _take_weights(peft_model: Any, folder: Path) -> None:
    """Put the weights of an adapter folder into a fresh adapter.

    Raises:
        TrainingError: If the two differ in rank, scaling or layers.
    """
    from peft import set_peft_model_state_dict
    from safetensors.torch import load_file

    given = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
    own = peft_model.peft_config[ADAPTER]
    form, wanted = (given["r"], given["lora_alpha"]), (own.r, own.lora_alpha)
    found = load_file(folder / WEIGHTS_FILE)
    expected = {name: tensor.shape for name, tensor in _tensors(peft_model).items()}
    if form != wanted or expected != {name: tensor.shape for name, tensor in found.items()}:
        raise TrainingError(
            f"the adapter in {str(folder)!r} has rank {form[0]} and alpha {form[1]} on"
            f" {counted(len(found), 'matrix', 'matrices')}; this training has rank {wanted[0]} and"
            f" alpha {wanted[1]} on {len(expected)}",
            hint="train with the rank and alpha of the adapter that it starts from",
        )
    set_peft_model_state_dict(peft_model, found, adapter_name=ADAPTER)


def max_tokens(model: Any) -> int | None:
    """Return how many tokens the model takes; None if it has no limit."""
    return getattr(model.config, "max_position_embeddings", None)


def term_logprobs(model: Any, batch: MicroBatch) -> torch.Tensor:
    """Return the summed log-probability of each term's targets, nats. Shape `(n_terms,)`.

    The vocabulary head runs on the nodes that predict a target, and on no other.
    """
    import torch

    keep = torch.from_numpy(batch.nodes)
    logits = forward_row(model, batch.row, keep=keep, use_cache=False).logits[0].float()  # (m, v)
    source = torch.from_numpy(batch.source).to(logits.device)
    target = torch.from_numpy(batch.target).to(logits.device)
    logprobs = logits[source, target] - logits.logsumexp(-1)[source]
    sums = torch.zeros(len(batch.sizes), device=logits.device)
    return sums.index_add(0, torch.from_numpy(batch.term).to(logits.device), logprobs)


def decision_logprobs(batch: MicroBatch, terms: torch.Tensor) -> torch.Tensor:
    """Return the log-probability of what was chosen, nats. Shape `(n_decisions,)`.

    Of a closed question normalized over its options; of an open action per token.
    """
    import torch

    options = torch.from_numpy(batch.options).to(terms.device)
    truth = torch.from_numpy(batch.truth).to(terms.device)
    table = terms[options.clamp(min=0)].masked_fill(options < 0, -torch.inf)  # (d, k)
    chosen = table.gather(1, truth[:, None])[:, 0]
    closed = (options >= 0).sum(dim=1) > 1
    sizes = torch.from_numpy(batch.sizes).to(terms.device)
    of_truth = sizes[options.gather(1, truth[:, None])[:, 0]]
    return torch.where(closed, chosen - table.logsumexp(dim=1), chosen / of_truth)


def batch_loss(model: Any, batch: MicroBatch, reasoning_weight: float) -> torch.Tensor:
    """Return the mean over examples of the loss, nats; a scalar.

    Closed decisions cost `-log p(option)` normalized over the options shown, a classifier's
    loss; open actions and traces the mean over their tokens.
    """
    import torch

    terms = term_logprobs(model, batch)
    sizes = torch.from_numpy(batch.sizes).to(terms.device)
    weights = torch.from_numpy(batch.term_weights(reasoning_weight)).to(terms.device)
    loss = -(weights * terms / sizes).sum()
    closed = torch.from_numpy((batch.options >= 0).sum(axis=1) > 1).to(terms.device)
    if bool(closed.any()):
        loss = loss - decision_logprobs(batch, terms)[closed].sum() / batch.n_examples
    return loss


def evaluate(model: Any, batches: Sequence[MicroBatch], step: int) -> ActionEvaluation:
    """Return the mean log-likelihood of the actions in `batches`, with and without traces.

    Both figures are of the same actions: one that has no trace counts in both as it is.
    """
    import torch

    given: list[float] = []
    alone: list[float] = []
    training = model.training
    model.eval()
    with torch.inference_mode():
        for batch in batches:
            found = decision_logprobs(batch, term_logprobs(model, batch)).double().cpu().numpy()
            # An example's decision after its trace follows the one without.
            last = np.append(~batch.reasoned[1:], True)
            given += found[last].tolist()
            alone += found[~batch.reasoned].tolist()
    model.train(training)
    return ActionEvaluation(
        step=step,
        action_logprob=float(np.mean(given)),
        action_logprob_alone=float(np.mean(alone)),
        n=len(alone),
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
