"""Survey answers a second: `survey.run` against EDSL 1.0.9 on one vLLM server.

    python benchmarks/on_vllm/bench_edsl.py [--people 10] [--rounds 3] [--edsl PYTHON]

Six questions of six types to the same people, about each of whom both sides are given the same
twelve earlier answers: ours as rows of a store, EDSL as a trait of the agent. Four ways take turns
on one server, whose prefix cache is emptied before each: ours without reasoning and with the
default three traces, EDSL without and with its default comment on each answer. Only the run is
timed. Tokens are the server's own counts. Prompts, drawn tokens and invalid answers are printed a
question and person. `make testbeds` makes EDSL's environment.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).parents[2]))

from common import machine, text

from tests.fixtures.server import free_port, run_server
from usersim import PipelineConfig, UserSimulator
from usersim.config import RemoteConfig, SimulationConfig, VllmConfig
from usersim.engines.remote.engine import RemoteEngine
from usersim.engines.serving import Server
from usersim.survey import LikertScale, MultipleChoice, NumberQuestion, SingleChoice, Survey, YesNo

ROOT = Path(__file__).parents[2]
MODEL = "embedded"
PAST = 12
DRINKS = ("tea", "coffee", "water")
AGREE = ("Strongly disagree", "Disagree", "Neutral", "Agree", "Strongly agree")
SURVEY = Survey(
    title="Drinks",
    questions=(
        SingleChoice(id="drink", text="Which drink do you take?", options=DRINKS),
        LikertScale(id="likely", text="How likely are you to come back?", low="not", high="very"),
        YesNo(id="garden", text="Do you have a garden?"),
        MultipleChoice(id="offers", text="Which should we offer?", options=DRINKS, least=1),
        NumberQuestion(id="cups", text="How many cups a day?", low=0, high=200),
        LikertScale(id="agree", text="The garden is worth its work.", points=AGREE),
    ),
)
COUNTED = {
    "prompt": "vllm:prompt_tokens_total",
    "cached": "vllm:prefix_cache_hits_total",
    "drawn": "vllm:generation_tokens_total",
    "requests": "vllm:request_success_total",
}
Found = dict[str, float]


def rows(people: int) -> list[dict[str, object]]:
    """Return what everybody answered before."""
    return [
        {
            "user_id": f"user{person:02}",
            "order": n,
            "context": f"Day {n}: {text(12, person + 3 * n)}?",
            "action": f"{text(8, 5 * person + n)}.",
        }
        for person in range(people)
        for n in range(PAST)
    ]


def ours(url: str, people: int, traces: int) -> Found:
    """Put the survey to a store's people."""
    config = PipelineConfig.preset("small")
    simulation = SimulationConfig(traces=traces)
    config = config.model_copy(update={"simulation": simulation})
    engine = RemoteEngine(MODEL, RemoteConfig(base_url=url, tokenizer=MODEL))
    made = UserSimulator.from_corpus(rows(people), engine=engine, config=config, progress=False)
    with engine, made as sim:
        started = time.perf_counter()
        results = SURVEY.run(sim.respondents(), progress=False)
        seconds = time.perf_counter() - started
    failed = {(one.respondent, one.question) for one in results.responses if one.failed}
    asked = people * len(SURVEY.questions)
    return {"seconds": seconds, "answers": asked, "valid": asked - len(failed)}


def theirs(url: str, people: int, python: Path, *, comments: bool) -> Found:
    """Have EDSL put the survey to agents."""
    known: dict[str, str] = {}
    for row in rows(people):
        said = f"{row['context']} {row['action']}\n"
        known[str(row["user_id"])] = known.get(str(row["user_id"]), "") + said
    given = {"base_url": url, "model": MODEL, "people": known, "comments": comments}
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, Path(__file__).with_name("edsl_side.py")],
            input=json.dumps(given),
            capture_output=True,
            text=True,
            cwd=folder,
            check=False,
        )
    if done.returncode:
        raise SystemExit(done.stderr[-4_000:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def counts(url: str) -> Found:
    """Return the server's counts of tokens and requests."""
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/metrics") as reply:
        said = reply.read().decode()
    found: Found = {}
    for name, metric in COUNTED.items():
        values = re.findall(rf"^{metric}\{{.*\}} (\S+)$", said, re.MULTILINE)
        found[name] = sum(map(float, values))
    return found


def measured(url: str, way: Callable[[], Found]) -> Found:
    """Run one way on an empty prefix cache; return its figures and tokens a question and person."""
    base = url.removesuffix("/v1")
    urllib.request.urlopen(urllib.request.Request(f"{base}/reset_prefix_cache", method="POST"))
    before = counts(url)
    found = way()
    after = counts(url)
    spent = {name: (after[name] - before[name]) / found["answers"] for name in COUNTED}
    return {**found, "rate": found["valid"] / found["seconds"], **spent}


def compare(url: str, people: int, rounds: int, python: Path) -> None:
    """Let the ways take turns and print what each took."""
    ways: Mapping[str, Callable[[], Found]] = {
        "ours, options scored, no reasoning": lambda: ours(url, people, 0),
        "EDSL, answer alone": lambda: theirs(url, people, python, comments=False),
        "ours, three traces (default)": lambda: ours(url, people, 3),
        "EDSL, with comment (default)": lambda: theirs(url, people, python, comments=True),
    }
    ours(url, 1, 1)  # what a process and a server do once
    found: dict[str, list[Found]] = {name: [] for name in ways}
    for turn in range(rounds):
        for name in list(ways) if turn % 2 == 0 else list(ways)[::-1]:
            found[name].append(measured(url, ways[name]))
    print(f"{people} people, {len(SURVEY.questions)} questions, {rounds} rounds; {machine()}")
    print(f"  {'':36} valid/s   valid  requests  prompt  of it cached  drawn   (each round)")
    rates: dict[str, tuple[float, float]] = {}
    for name, each in found.items():
        one = {key: median(turn[key] for turn in each) for key in each[0]}
        rates[name] = one["rate"], one["answers"] / one["seconds"]
        share = one["valid"] / one["answers"]
        each_round = ", ".join(f"{turn['rate']:.2f}" for turn in each)
        print(
            f"  {name:36} {one['rate']:7.2f}  {share:6.1%}  {one['requests']:8.1f}  "
            f"{one['prompt']:6.0f}  {one['cached']:12.0f}  {one['drawn']:5.0f}   ({each_round})"
        )
    fast, alone, default, comment = rates.values()
    for what, own, other in (("without reasoning", fast, alone), ("defaults", default, comment)):
        print(
            f"  {what}: {own[0] / other[0]:.2f} times the valid answers a second, "
            f"{own[1] / other[1]:.2f} times all answers a second"
        )


def main() -> None:
    """Start the server and run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--edsl", type=Path, default=ROOT / ".venv-edsl" / "bin" / "python")
    options = parser.parse_args()
    if not options.edsl.exists():
        print(f"no EDSL at {options.edsl}: `make testbeds` makes its environment")
        return
    os.environ["VLLM_SERVER_DEV_MODE"] = "1"  # lets the prefix cache be emptied
    served = Server(model=MODEL, config=VllmConfig(max_model_len=4096), port=free_port())
    with tempfile.TemporaryDirectory() as folder:
        for url in run_server(served, Path(folder) / "log"):
            compare(url, options.people, options.rounds, options.edsl)


if __name__ == "__main__":
    main()
