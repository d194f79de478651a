"""Guards on text: copying, masking, options named, the verdict."""

from __future__ import annotations

import pytest

from tests.fixtures.recon_engine import pair
from usersim.config import GuardConfig
from usersim.recon.leakage import BLANK, asserts_option, copying, mask, refusals
from usersim.recon.words import longest_common_run, tokens
from usersim.types import (
    Candidate,
    Choice,
    Leakage,
    Message,
    MultiChoice,
    Number,
    Scale,
    ScoredCandidate,
    TraceScores,
)

GUARDS = GuardConfig()
ACCURATE = (
    "Very inaccurate",
    "Moderately inaccurate",
    "Slightly accurate",
    "Moderately accurate",
)
AGREE = ("Strongly disagree", "Disagree", "Neither agree nor disagree", "Agree", "Strongly agree")
YES_NO = ("Yes", "No")
DIGITS = ("1", "2", "3", "4", "5")
LIKE_ME = ("Not at all like me", "A little like me", "Very much like me")


@pytest.mark.parametrize(
    ("text", "options", "chosen", "context"),
    [
        ("This is moderately accurate.", ACCURATE, 3, ""),
        ("THIS IS “MODERATELY ACCURATE”!", ACCURATE, 3, ""),
        ("That is accurate of me.", ACCURATE, 3, ""),
        ("That is accurate of me.", ACCURATE, 3, "How accurate is this?"),
        ("I would choose accurate.", ACCURATE, 3, "How accurate is this?"),
        ("I agree with this.", AGREE, 4, ""),
        ("I neither agree nor disagree.", AGREE, 2, ""),
        ("Could be disagree or agree, so I choose agree.", AGREE, 3, ""),
        ("No, I would rather not.", YES_NO, 1, ""),
        ("I am tired. No.", YES_NO, 1, ""),
        ("I would say no to that.", YES_NO, 1, ""),
        ("Yes I love it", YES_NO, 0, ""),
        ("I'd give it a 2 out of 5.", DIGITS, 1, ""),
        ("I would choose option 4", DIGITS, 3, ""),
        ("That is very much like me.", LIKE_ME, 2, ""),
    ],
)
def test_a_trace_that_names_the_chosen_option_asserts_it(
    text: str, options: tuple[str, ...], chosen: int, context: str
) -> None:
    """The whole option, its family, or a common word after an announcement gives it away."""
    assert asserts_option(text, options, chosen, context)


@pytest.mark.parametrize(
    ("text", "options", "chosen", "context"),
    [
        ("I keep calm in most situations.", ACCURATE, 3, ""),
        ("That is accurate of me.", ACCURATE, 1, ""),
        ("Hard to say whether accurate or inaccurate here.", ACCURATE, 3, ""),
        ("Being accurate matters at my job.", ACCURATE, 3, "How accurate is this?"),
        ("I have no time.", YES_NO, 1, ""),
        ("That would be no fun.", YES_NO, 1, ""),
        ("I have 2 dogs and like walks.", DIGITS, 1, ""),
        ("I like people like me.", LIKE_ME, 2, ""),
        ("I disagree.", AGREE, 4, ""),
    ],
)
def test_a_trace_that_names_none_or_weighs_several_does_not(
    text: str, options: tuple[str, ...], chosen: int, context: str
) -> None:
    """Other options, several families, common words and words of the context do not assert."""
    assert not asserts_option(text, options, chosen, context)


def test_a_long_copied_run_is_refused_whatever_its_case_and_punctuation() -> None:
    """Eight words of the action in a row are a copy."""
    action = "the cat sat on the mat and then it slept all day long in the warm sun by the door"
    found = copying(pair(action), "Well, THE CAT—sat on the mat; and then!")
    assert found.longest_run == 8
    assert refusals(found, GUARDS)[0].startswith("L1 copy: a run of 8 words")


def test_what_the_context_said_is_no_copy() -> None:
    """A run that stands in the context too is taken off, as are its 4-grams."""
    said = "we will all meet at the station at nine"
    item = pair(f"Fine, {said} sharp.", context=f"Mum says {said}.")
    found = copying(item, f"I know that {said}.")
    assert found.longest_run == 0
    assert found.containment == 0


def test_containment_is_a_share_of_the_actions_grams() -> None:
    """Of three 4-grams of the action one stands in the trace."""
    found = copying(pair("one two three four five six"), "I count two three four five")
    assert found.containment == pytest.approx(1 / 3)
    assert "L1 containment: 33% of the action" in refusals(found, GUARDS)[0]


@pytest.mark.parametrize("action", ["Ok", "No way", "👍", "了解です", "نعم"])
def test_a_short_action_that_stands_whole_in_the_trace_is_refused(action: str) -> None:
    """However short a free text is, the trace may not state it; scripts and emoji count."""
    found = copying(pair(action), f"I think {action} will do")
    assert found.containment == 1.0
    assert refusals(found, GUARDS)


def test_a_stated_number_is_refused() -> None:
    """A number that stands in the trace is the action verbatim."""
    assert copying(pair(7.0, Number()), "About 7 a week.").containment == 1.0
    assert copying(pair(7.0, Number()), "About 17 a week.").containment == 0.0


@pytest.mark.parametrize("quote", ['"{}"', "“{}”", "'{}'", "«{}»", "`{}`", "‘{}’"])
def test_a_quoted_span_of_the_action_is_refused(quote: str) -> None:
    """Four quoted words of a long action are a quotation in every kind of quotes."""
    action = "I will walk home along the river because the bus is far too slow for me now"
    found = copying(pair(action), "I don't mind. " + quote.format("along the river because") + ".")
    assert found.quoted_span == 4
    assert any(r.startswith("L1 quote: 4 quoted words") for r in refusals(found, GUARDS))


def test_every_chosen_option_of_several_is_looked_for() -> None:
    """With several options at once, naming one of the chosen is enough."""
    space = MultiChoice(("Garden", "Boat", "Piano"))
    item = pair(("Boat", "Piano"), space)
    assert copying(item, "I have always wanted a piano.").asserts_option
    assert not copying(item, "I have green fingers.").asserts_option


def test_an_implausible_trace_is_refused_and_an_unknown_one_is_not() -> None:
    """The floor of L4 refuses; where the engine does not tell, it cannot."""
    (reason,) = refusals(Leakage(plausibility=-1.2), GUARDS)
    assert reason.startswith("L4 plausibility: -1.20 nats per token")
    assert refusals(Leakage(plausibility=None), GUARDS) == ()


def test_masking_blanks_shared_trigrams_and_leaves_the_contexts_words() -> None:
    """Only what the action holds and the context does not is blanked."""
    item = pair("We could go to the old mill on Sunday", context="Shall we go to the old mill?")
    masked = mask(item, "I like to go to the old mill on Sunday, it is near.")
    assert masked == f"I like to go to the {BLANK}, it is near."


def test_masking_of_a_closed_question_hides_every_option_alike() -> None:
    """All options are blanked, so that the blank does not tell which was chosen."""
    item = pair("Agree", Scale(AGREE))
    assert mask(item, "Not disagree, rather Agree.") == f"Not {BLANK}, rather {BLANK}."


def test_masking_blanks_a_short_action_whole() -> None:
    """An action of fewer than three words is blanked as a whole."""
    assert mask(pair("No way"), "I say no way to it") == f"I say {BLANK} to it"


def test_an_unrelated_trace_is_not_masked() -> None:
    """Nothing shared: the trace is returned as it is."""
    text = "It rains, and my knees hurt."
    assert mask(pair("Tea, please."), text) is text


def test_words_are_folded_and_unspaced_scripts_count_by_character() -> None:
    """Case, width and apostrophes do not matter; a script without spaces has one word a sign."""
    assert tokens("Don’t STOP ＡＢＣ _x_") == ["don't", "stop", "abc", "x"]
    assert tokens("はい ok") == ["は", "い", "ok"]


def test_the_context_is_taken_off_a_common_run() -> None:
    """The longest part that the context holds is subtracted from each run."""
    first, second = ["a", "b", "c", "d", "e", "f"], ["x", "a", "b", "c", "d", "e"]
    assert longest_common_run(first, second) == 5
    assert longest_common_run(first, second, without=["b", "c", "d"]) == 2


def _scored(
    reasons: tuple[str, ...], *, complete: bool = True, share: float | None = 0.5
) -> ScoredCandidate:
    return ScoredCandidate(
        candidate=Candidate(
            interaction_key="k",
            direction="forward",
            draw=0,
            reasoning="x",
            complete=complete,
            model="m",
            prompt_id="p",
            seed=0,
        ),
        scores=TraceScores(scorer="s", unit="u", raw_gain=0, masked_gain=0, reported_gain=0),
        leakage=Leakage(reasons=reasons, trace_only_share=share),
    )


def test_a_message_of_several_lines_is_one_context() -> None:
    """All messages of a context count as said before."""
    item = pair(
        "a b c d e f g h i",
        context=(Message("a b c d", name="x"), Message("e f g h", name="y")),
    )
    assert copying(item, "a b c d").containment == 0


def test_a_choice_leaves_common_words_alone() -> None:
    """A trace with a common word that is also an option is not refused for it."""
    assert refusals(copying(pair("No", Choice(YES_NO)), "I have no time"), GUARDS) == ()
