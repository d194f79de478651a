"""Cost against the size of a corpus: 50, 200 and 800 pairs through reconstruction and training.

    python benchmarks/bench_corpus_size.py [rounds]

Every pair gets its candidates, their scores and guards, and stands in the training of the user
model. Weights are a few thousand random ones and the texts come from a script, so that what
grows would be ours: the store, retrieval, selection, encoding, the training loop. Sizes take
turns; each run has a store of its own. Printed are seconds a pair, medians, and their ratio to
the smallest corpus: 1 is linear.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.fixtures.people import engine
from tests.fixtures.tiny import make_model
from usersim import PipelineConfig, UserSimulator
from usersim.config import HistoryConfig, ScoringConfig, SynthesisConfig, TrainingConfig
from usersim.engines import Draw
from usersim.engines.transformers.engine import TransformersEngine

SIZES = (50, 200, 800)
PAIRS_OF_A_PERSON = 25
CONFIG = PipelineConfig(
    history=HistoryConfig(recent=2, evidence=2, max_item_chars=60, max_context_chars=100),
    synthesis=SynthesisConfig(n_forward=1, n_backward=1, max_tokens=24),
    scoring=ScoringConfig(option_orders=1, samples=2, diagnostics=0),
    training=TrainingConfig(rank=2, epochs=1, evaluations=1, batch_tokens=2048),
)


class ScriptedDraws(TransformersEngine):
    """Real weights, whose texts are written by a script: random letters would be no reasoning."""

    def __init__(self, model: Path) -> None:
        super().__init__(model)
        self.script = engine(reasoning="The train was late. So they walked on in the rain.")

    def generate(self, requests, *, progress=None) -> list[tuple[Draw, ...]]:  # noqa: ANN001
        """Let the script write."""
        plain = [replace(request, adapter=None) for request in requests]
        return self.script.generate(plain, progress=progress)


def roomy(folder: Path) -> Path:
    """Write the small model with room for the library's prompts."""
    model = make_model(folder / "model")
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    config["max_position_embeddings"] = 8192
    (model / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return model


def rows(pairs: int) -> list[dict[str, object]]:
    """Return `pairs` rows to learn from, and a quarter as many that are held out."""
    own = PAIRS_OF_A_PERSON * 5 // 4
    return [
        {
            "user_id": f"user{person}",
            "order": n,
            "context": f"Day {n}: how was the way to place {(person * 7 + n * n) % 97}?",
            "action": f"Quiet, I saw {(person + 3 * n) % 89} birds.",
        }
        for person in range(pairs // PAIRS_OF_A_PERSON)
        for n in range(own)
    ]


def measure(model: ScriptedDraws, pairs: int) -> dict[str, float]:
    """Return seconds of each stage."""
    with tempfile.TemporaryDirectory() as folder:
        told = {"load": time.perf_counter()}
        sim = UserSimulator.from_corpus(
            rows(pairs), store=Path(folder) / "c.db", model=model.model, engine=model, config=CONFIG
        )
        told["reconstruct"] = time.perf_counter()
        found = sim.reconstruct()
        assert len(found.interactions) == pairs, (len(found.interactions), pairs)
        told["train"] = time.perf_counter()
        sim.train()
        told["end"] = time.perf_counter()
        sim.corpus.close()
    stages = list(told)
    return {a: told[b] - told[a] for a, b in pairwise(stages)}


def main() -> None:
    """Measure and print."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    found: dict[int, list[dict[str, float]]] = {size: [] for size in SIZES}
    with tempfile.TemporaryDirectory() as folder:
        model = ScriptedDraws(roomy(Path(folder)))
        measure(model, SIZES[0])  # imports and caches
        for _ in range(rounds):
            for size in SIZES:
                found[size].append(measure(model, size))
        model.close()
    for stage in ("load", "reconstruct", "train"):
        cost = {size: median(one[stage] for one in found[size]) / size for size in SIZES}
        told = ", ".join(
            f"{size}: {1e3 * cost[size]:.1f} ms a pair ({cost[size] / cost[SIZES[0]]:.2f} of"
            f" {SIZES[0]})"
            for size in SIZES
        )
        print(f"{stage:12} {told}")


if __name__ == "__main__":
    main()
