"""The listwise judge: ranks in both orders, and never makes up a score."""

from __future__ import annotations

import re

import pytest

from tests.fixtures.people import engine
from usersim.config import HistoryConfig, PipelineConfig, ScoringConfig
from usersim.engines import GenerateRequest
from usersim.engines.scripted import ScriptedEngine
from usersim.errors import ScoringError
from usersim.recon.fidelity.base import Trial, measure
from usersim.recon.fidelity.choose import scorer_for
from usersim.recon.fidelity.judge import JudgeListwise, read_ranking
from usersim.types import Case, FreeText, Interaction, Message

PAIR = Interaction(
    key="k",
    user_id="ada",
    context=(Message("Tea or coffee?"),),
    space=FreeText(),
    action="Tea, with milk.",
    position=0,
    conversation="c",
)
CASE = Trial(
    case=Case(PAIR),
    reasonings=("Milk is what I like.", "Nothing comes to mind."),
    view=HistoryConfig(),
)


def reconstructor() -> ScriptedEngine:
    """Return a model whose answer follows the reasoning that it is given."""

    def reply(request: GenerateRequest, index: int) -> str:
        del index
        if "Milk" in request.prefix:
            return "Tea with milk"
        return "Coffee" if "Nothing" in request.prefix else "Water"

    return ScriptedEngine(reply)


def ranks(text: str) -> dict[int, str]:
    """Return the numbered replies of a judge's prompt."""
    return {int(n): said for n, said in re.findall(r"^(\d+)\. (.*)$", text, re.MULTILINE)}


def judge_by(order: list[str]) -> ScriptedEngine:
    """Return a judge that ranks replies as `order` does, wherever they stand."""

    def reply(request: GenerateRequest, index: int) -> str:
        del index
        shown = ranks(request.prompt[-1][1])
        return " > ".join(str(n) for n in sorted(shown, key=lambda n: order.index(shown[n])))

    return ScriptedEngine(reply)


def gains(judge: ScriptedEngine) -> list[float]:
    """Return the gain of both traces."""
    (found,) = measure(reconstructor(), [CASE], [JudgeListwise(judge)])
    assert not isinstance(found, ScoringError), found
    return [one.gain for one in found]


def test_the_gain_is_the_share_of_the_list_that_a_trace_climbs() -> None:
    """From the last place to the first is 1; below the empty reasoning it is negative."""
    assert gains(judge_by(["Tea with milk", "Coffee", "Water"])) == [1.0, 0.5]
    assert gains(judge_by(["Tea with milk", "Water", "Coffee"])) == [0.5, -0.5]


def test_a_liking_for_the_first_place_cancels() -> None:
    """A judge that ranks by place alone gives every trace the gain 0."""
    assert gains(ScriptedEngine(lambda *_: "1 > 2 > 3")) == [0.0, 0.0]


@pytest.mark.parametrize("reply", ["I cannot say.", "1 > 2", "1 > 1 > 2", "1 > 2 > 3 > 4"])
def test_a_reply_that_is_no_ranking_leaves_the_interaction_unscored(reply: str) -> None:
    """What the judge said stands in the error, with person and interaction; nothing is zero."""
    (found,) = measure(reconstructor(), [CASE], [JudgeListwise(ScriptedEngine(lambda *_: reply))])
    assert isinstance(found, ScoringError)
    assert reply in str(found)
    assert "'ada'" in str(found)


def test_rankings_are_read_in_any_dress() -> None:
    """Numbers count, not what stands between them."""
    assert read_ranking("Best: 3, then 1; 2 is worst", 3) == [2, 0, 1]


class AnotherModel(ScriptedEngine):
    """A judge of another name than the model that writes."""

    @property
    def identity(self) -> str:
        """Of a model of another family."""
        return "another-family"


def test_the_scorer_needs_a_judge() -> None:
    """Without a judge the error says what to pass."""
    with pytest.raises(ScoringError, match="has no judge"):
        scorer_for(FreeText(), ScoringConfig(scorer="judge_listwise"))


def test_the_papers_preset_draws_backward_and_judges() -> None:
    """Four candidates with the action in view, no forward ones, and the judge as scorer."""
    config = PipelineConfig.preset("paper")
    assert (config.synthesis.n_forward, config.synthesis.n_backward) == (0, 4)
    assert config.scoring.scorer == "judge_listwise"


def test_a_whole_selection_goes_through_the_judge() -> None:
    """Recon under the paper's preset keeps the trace whose reconstruction the judge puts first."""
    from tests.fixtures.people import is_reasoning, person
    from usersim import UserSimulator

    def reply(request: GenerateRequest, index: int) -> str:
        if is_reasoning(request):
            thought = "The day makes me glad." if index == 2 else "It is a day."
            return thought + "\n</think>"
        if "Replies:" in request.prompt[-1][1]:
            shown = ranks(request.prompt[-1][1])
            return " > ".join(str(n) for n in sorted(shown, key=lambda n: "glad" not in shown[n]))
        return "I am glad." if "glad" in request.prefix else "I am here."

    with UserSimulator.from_corpus(
        person("ada", 5),
        engine=engine(reasoning=reply, action=reply),
        config="paper",
        trace_judge=AnotherModel(reply),
    ) as sim:
        found = sim.reconstruct()
    kept = [one.candidate.reasoning for one in found.kept_traces().values()]
    assert kept
    assert set(kept) == {"The day makes me glad."}
    assert not found.failures
