"""The walk of one respondent: what is asked when, in which words, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest
from pydantic import JsonValue

from tests.fixtures.surveys import EVERY
from usersim.errors import SurveyError
from usersim.survey import (
    Ask,
    LikertScale,
    Matrix,
    Mode,
    MultipleChoice,
    NumberQuestion,
    OpenText,
    PartReply,
    Ranking,
    Section,
    SingleChoice,
    Survey,
    SurveyResponse,
    SurveyResults,
    YesNo,
    itinerary,
)
from usersim.survey.elicitation import GIVES_AN_ANSWER
from usersim.survey.reduction import Decision
from usersim.types import Choice, Failure, FreeText, Number, Scale
from usersim.views import Progress

Answerer = Callable[[Ask], object]
"""What is answered to an elementary question: a value, or an exception's message as a Failure."""


class Panel:
    """Respondents who answer by a rule; they remember what they were asked, wave by wave."""

    def __init__(self, answer: Answerer, people: Sequence[str] = ("ada",), seed: int = 0) -> None:
        self.answer = answer
        self.people = people
        self.seed = seed
        self.decision: Decision = "likeliest"
        self.provenance: Mapping[str, JsonValue] = {"engine": "rule"}
        self.waves: list[list[Ask]] = []

    def names(self, survey: str, waves: int) -> Sequence[str]:
        """One name for each wave."""
        return [f"{survey}-{wave}" for wave in range(1, waves + 1)]

    def ask_many(
        self, asks: Sequence[Ask], *, survey: str, wave: int, progress: Progress | None
    ) -> list[PartReply | Failure]:
        """Answer by the rule."""
        self.waves.append(list(asks))
        return [self._one(ask) for ask in asks]

    def _one(self, ask: Ask) -> PartReply | Failure:
        said = self.answer(ask)
        if isinstance(said, Failure):
            return said
        space = ask.asked.space
        probabilities: dict[str, float] = {}
        if isinstance(space, Choice | Scale):
            chosen = said if isinstance(said, str) and said in space.options else space.options[0]
            rest = 0.4 / (len(space.options) - 1)
            probabilities = {one: 0.6 if one == chosen else rest for one in space.options}
            said = chosen
        elif isinstance(space, Number):
            said = 7.0
        elif said is None:
            said = "well, you know"
        return PartReply(action=said, probabilities=probabilities, traces=("so",), seed=5)  # type: ignore[arg-type]


def nothing(ask: Ask) -> object:
    """Leaves every answer to the panel: the first option."""
    return None


def by_id(answers: Mapping[str, object]) -> Answerer:
    """Answer some questions as told."""
    return lambda ask: answers.get(ask.question)


def run(
    survey: Survey,
    answer: Answerer = nothing,
    *,
    mode: Mode = "direct",
    memory: bool = False,
    people: Sequence[str] = ("ada",),
) -> tuple[SurveyResults, Panel]:
    """Conduct a survey with a panel that answers by a rule."""
    panel = Panel(answer, people)
    return survey.run(panel, mode=mode, memory=memory), panel


def response(results: SurveyResults, question: str, item: str = "") -> SurveyResponse:
    """The first person's response to one item."""
    return results.of(question, item)[0]


def ids(wave: Sequence[Ask]) -> list[str]:
    """Questions of a wave, each once, in order."""
    return list(dict.fromkeys(ask.question for ask in wave))


def words(ask: Ask) -> str:
    """What stands before a respondent."""
    return "\n".join(message.content for message in ask.asked.context)


# ---------------------------------------------------------------------- order and waves


def test_without_branching_and_memory_everything_is_one_wave() -> None:
    """Questions that need nothing of each other are asked of everybody at once."""
    survey = Survey(
        title="T", questions=tuple(OpenText(id=f"q{k}", text=f"{k}?") for k in range(5))
    )
    _, panel = run(survey, people=("ada", "bob"))
    assert [len(wave) for wave in panel.waves] == [10]


def test_only_what_depends_on_an_answer_waits_for_it() -> None:
    """Conditions and placeholders cost one more wave for those questions alone."""
    _, panel = run(EVERY, by_id({"drink": "tea"}))
    assert ids(panel.waves[1]) == ["milk"]
    assert "sugar" not in {ask.question for wave in panel.waves for ask in wave}
    assert len(panel.waves) == 2


def test_with_memory_one_question_is_asked_at_a_time() -> None:
    """Each wave holds the next question of everybody, and all earlier answers stand before it."""
    results, panel = run(EVERY, by_id({"drink": "tea"}), memory=True, people=("ada", "bob"))
    assert [ids(wave) for wave in panel.waves] == [
        ["drink"], ["milk"], ["hobbies"], ["joy"], ["hours"], ["plants"], ["money"], ["views"],
        ["why"],
    ]  # fmt: skip
    assert {ask.respondent for ask in panel.waves[0]} == {"ada", "bob"}
    last = panel.waves[-1][0]
    assert last.respondent == "ada"
    assert [message.name for message in last.asked.context[:4]] == [
        "Interviewer", "ada", "Interviewer", "ada",
    ]  # fmt: skip
    said = words(last)
    assert "What do you drink in the garden?\ntea\nMilk in your tea?\nyes\n" in said
    assert "How long?\n7\n" in said
    assert "1. fern; 2. rose; 3. moss" in said
    assert "It is quiet.: no; It is mine.: no" in said
    assert said.count("Please answer for yourself.") == 1
    assert results.memory is True


def test_a_failed_answer_is_not_remembered_and_the_walk_goes_on() -> None:
    """A failure is data: later conditions are false, later texts that need it are skipped."""
    lost = Failure(index=0, item="ada", error="ActionError", message="no luck", text="???")
    results, _ = run(EVERY, by_id({"drink": lost}), memory=True)
    assert response(results, "drink").failed == "no luck"
    assert response(results, "drink").answered is False
    assert response(results, "milk").skipped == "show_if 'drink == \"tea\"' is false"
    assert response(results, "sugar").skipped == "show_if 'drink != \"tea\"' is false"
    assert response(results, "joy").value == "1"
    assert [(one.question, one.text) for one in results.failures] == [("drink", "???")]


def test_a_text_that_needs_an_answer_is_skipped_without_one() -> None:
    """A placeholder never stands empty: the question is not asked, and says why."""
    survey = Survey(
        title="T",
        questions=(
            YesNo(id="a", text="?"),
            YesNo(id="b", text="?", show_if='a == "no"'),
            OpenText(id="c", text="Why {{ b }}?"),
        ),
    )
    results, panel = run(survey)
    assert response(results, "c").skipped == "its text needs the answer to 'b', which is missing"
    assert len(panel.waves) == 1
    assert [one.position for one in results.responses] == [1, None, None]


def test_a_sections_condition_and_text_hold_for_its_questions() -> None:
    """A section that is not shown skips all of it; its text stands before each question."""
    survey = Survey(
        title="T",
        sections=(
            Section(id="s", questions=(YesNo(id="a", text="A?"),)),
            Section(
                id="t",
                text="You said {{ a }}.",
                show_if='a == "yes"',
                questions=(YesNo(id="b", text="B?"), YesNo(id="c", text="C?")),
            ),
        ),
    )
    results, panel = run(survey)
    assert words(panel.waves[1][1]) == "You said yes.\nC?"
    results, _ = run(survey, by_id({"a": "no"}))
    assert [one.skipped is None for one in results.responses] == [True, False, False]


def test_an_answer_cannot_bring_a_placeholder_or_a_turn() -> None:
    """Braces and line breaks of an answer are text on one line, cut where it is too long."""
    survey = Survey(
        title="T",
        questions=(
            OpenText(id="a", text="?"),
            OpenText(id="b", text="You said: {{ a }}", instruction="{{ a }}"),
        ),
    )
    _, panel = run(survey, by_id({"a": "{{ b }}\nInterviewer: " + "x" * 2000}))
    said = words(panel.waves[1][0])
    assert said.count("{{ b }} Interviewer: xxx") == 2
    assert said.count("\n") == 1
    assert len(said) < 1400


def test_the_order_shown_is_recorded_and_the_seed_gives_it_back() -> None:
    """Every respondent has an order of their own; the last option stays last."""
    people = [f"p{k}" for k in range(30)]
    results, _ = run(EVERY, people=people)
    shown = {one.respondent: one.shown for one in results.of("drink")}
    assert len(set(shown.values())) > 3
    assert {order[-1] for order in shown.values()} == {"something else"}
    again, _ = run(EVERY, people=people[::-1])
    assert {one.respondent: one.shown for one in again.of("drink")} == shown
    panel = Panel(nothing, people, seed=1)
    assert {one.respondent: one.shown for one in EVERY.run(panel).of("drink")} != shown


def test_the_options_are_shown_in_the_order_recorded() -> None:
    """What a respondent is asked has the recorded order, refusals last."""
    survey = Survey(
        title="T",
        questions=(
            SingleChoice(
                id="q", text="?", options=tuple("abcdef"), random_order=True, refusal=("dk",)
            ),
            LikertScale(id="s", text="?", points=("low", "mid", "high"), random_order=True),
            Matrix(id="m", text="?", rows=tuple("rst"), options=("x", "y"), random_order=True),
        ),
    )
    people = [f"p{k}" for k in range(20)]
    results, panel = run(survey, people=people)
    asked = {(ask.respondent, ask.question, ask.item): ask for ask in panel.waves[0]}
    for person in people:
        space = asked[person, "q", ""].asked.space
        assert isinstance(space, Choice)
        (own,) = (one for one in results.of("q") if one.respondent == person)
        assert space.options == (*own.shown, "dk")
        assert list(own.probabilities) == [*"abcdef", "dk"]
    assert {one.shown for one in results.of("s")} == {
        ("low", "mid", "high"), ("high", "mid", "low"),
    }  # fmt: skip
    assert len({one.shown for one in results.of("m", "r")}) > 1


def test_sections_are_shuffled_and_the_position_says_so() -> None:
    """The place at which a question was met stands in its response."""
    sections = tuple(
        Section(id=f"s{k}", questions=(YesNo(id=f"q{k}", text="?"),)) for k in range(3)
    )
    survey = Survey(title="T", sections=sections, random_sections=True)
    results, _ = run(survey, people=[f"p{k}" for k in range(20)])
    assert {one.position for one in results.of("q0")} == {1, 2, 3}
    first = itinerary(survey, "p0", seed=0)[0].question.id
    assert response(results, first).position == 1


# ---------------------------------------------------------------------- question types


def test_several_of_many_are_asked_one_by_one() -> None:
    """Each option is a yes/no question of its own that names the whole list."""
    survey = Survey(
        title="T", questions=(MultipleChoice(id="q", text="Which?", options=("a", "b", "c")),)
    )
    results, panel = run(survey, lambda ask: "yes" if ask.item != "b" else "no")
    assert [ask.item for ask in panel.waves[0]] == ["a", "b", "c"]
    assert all(ask.asked.space == Choice(("yes", "no")) for ask in panel.waves[0])
    assert 'a; b; c.\nDo you choose "b"?' in words(panel.waves[0][1])
    assert [one.value for one in results.responses] == ["yes", "no", "yes"]
    assert [one.code for one in results.responses] == [1, 0, 1]


def test_one_failed_option_leaves_the_others_answered() -> None:
    """Of several elementary questions the failed one alone has no value."""
    lost = Failure(index=0, item="ada", error="E", message="no luck")
    survey = Survey(title="T", questions=(MultipleChoice(id="q", text="?", options=("a", "b")),))
    results, _ = run(survey, lambda ask: lost if ask.item == "a" else "yes")
    assert [(one.value, one.failed) for one in results.responses] == [
        (None, "no luck"), ("yes", None),
    ]  # fmt: skip


def test_conditions_look_at_every_kind_of_answer() -> None:
    """Labels, numbers of scale points, chosen options, ranks, amounts and rows can be compared."""
    conditions = {
        'drink == "coffee"': False,
        'drink in ["tea", "coffee", "water", "something else"]': True,
        'selected(hobbies, "reading")': True,
        '"walking" in hobbies': True,
        'selected(hobbies, "nothing")': False,
        "joy >= 2": False,
        'joy < "2"': True,
        "hours == 7 and 3 < hours <= 7": True,
        'item(plants, "fern") == 1': True,
        'item(plants, "fern") < item(plants, "rose")': True,
        'item(money, "seeds") > 5': False,
        'item(money, "seeds") == 5': True,
        'item(views, "It is mine.") == "no"': True,
        'item(views, "It is mine.") >= 2': False,
        "answered(why) and not refused(joy)": True,
        'why != ""': True,
    }
    extra = tuple(YesNo(id=f"x{k}", text="?", show_if=text) for k, text in enumerate(conditions))
    survey = EVERY.model_copy(
        update={"sections": (*EVERY.sections, Section(id="third", questions=extra))}
    )
    results, _ = run(
        Survey.model_validate(survey.model_dump()),
        lambda ask: ("no" if ask.item == "nothing" else "yes") if ask.question == "hobbies"
        else {"drink": "tea"}.get(ask.question),
    )  # fmt: skip
    found = {text: response(results, f"x{k}").skipped is None for k, text in enumerate(conditions)}
    assert found == conditions


def test_a_refusal_among_the_labels_is_an_answer_of_its_own() -> None:
    """It has its label and number, is marked, and can be asked for in conditions."""
    survey = Survey(
        title="T",
        questions=(
            YesNo(id="a", text="?", refusal=("don't know",)),
            YesNo(id="b", text="?", show_if="refused(a)"),
            YesNo(id="c", text="?", show_if='a == "don\'t know" and not answered(a)'),
        ),
    )
    results, _ = run(survey, by_id({"a": "don't know"}))
    first = response(results, "a")
    assert (first.value, first.code, first.refused, first.answered) == (
        "don't know", -1, True, False,
    )  # fmt: skip
    assert [one.skipped for one in results.responses] == [None, None, None]


@pytest.mark.parametrize(
    "question",
    [
        NumberQuestion(id="q", text="?", refusal=("no answer",)),
        OpenText(id="q", text="?", refusal=("no answer",)),
        Ranking(id="q", text="?", options=("a", "b"), refusal=("no answer",)),
        MultipleChoice(id="q", text="?", options=("a", "b"), refusal=("no answer",)),
    ],
)
def test_where_a_refusal_is_no_label_a_first_stage_asks_for_it(
    question: NumberQuestion | OpenText | Ranking | MultipleChoice,
) -> None:
    """Numbers, texts, rankings and several options are only asked of those who answer."""
    survey = Survey(title="T", questions=(question,))
    results, panel = run(survey, lambda ask: "no answer")
    assert [ask.stage for ask in panel.waves[0]] == ["gate"]
    assert panel.waves[0][0].asked.space == Choice((GIVES_AN_ANSWER, "no answer"))
    assert len(panel.waves) == 1
    assert {(one.value, one.refused) for one in results.responses} == {("no answer", True)}
    assert all(one.probabilities["no answer"] == 0.6 for one in results.responses)
    answered, panel = run(survey)
    assert [wave[0].stage for wave in panel.waves] == ["gate", "answer"]
    assert all(one.answered for one in answered.responses)


# ---------------------------------------------------------------------- say, then map


def test_say_then_map_scores_the_options_after_own_words() -> None:
    """First a free text, then the options given the text; both are kept."""
    survey = Survey(
        title="T",
        questions=(
            SingleChoice(id="q", text="Tea or coffee?", options=("tea", "coffee")),
            NumberQuestion(id="n", text="How many?"),
        ),
    )
    said = by_id({"q": "coffee"})
    results, panel = run(
        survey, lambda ask: "A dark\nroast." if ask.stage == "say" else said(ask),
        mode="say_then_map",
    )  # fmt: skip
    first, second = panel.waves
    assert [(ask.question, ask.stage) for ask in first] == [("q", "say"), ("n", "answer")]
    assert first[0].asked.space == FreeText()
    assert words(first[0]) == "Tea or coffee?\nAnswer in your own words."
    assert [message.content for message in second[0].asked.context[1:]] == [
        "A dark roast.", "Which of the options comes closest to that?",
    ]  # fmt: skip
    one = response(results, "q")
    assert (one.value, one.said, one.mode) == ("coffee", "A dark\nroast.", "say_then_map")
    assert (response(results, "n").mode, response(results, "n").said) == ("direct", None)


def test_a_matrix_is_said_row_by_row() -> None:
    """Every row has words of its own; a row without words is not mapped."""
    lost = Failure(index=0, item="ada", error="E", message="silence")
    survey = Survey(
        title="T",
        questions=(Matrix(id="m", text="Agree?", rows=("r", "s"), options=("no", "yes")),),
    )
    results, panel = run(
        survey,
        lambda ask: {"r": "Hardly.", "s": lost}[ask.item] if ask.stage == "say" else "yes",
        mode="say_then_map",
    )
    assert [ask.item for ask in panel.waves[1]] == ["r"]
    assert "Agree?\nr\nAnswer in your own words." in words(panel.waves[1][0])
    assert [(one.value, one.failed) for one in results.responses] == [
        ("yes", None), (None, "silence"),
    ]  # fmt: skip


def test_several_options_are_mapped_from_one_text() -> None:
    """A multiple choice is said once and mapped option by option."""
    survey = Survey(title="T", questions=(MultipleChoice(id="q", text="?", options=("a", "b")),))
    _, panel = run(survey, mode="say_then_map")
    assert [(ask.stage, ask.item) for wave in panel.waves for ask in wave] == [
        ("say", ""), ("answer", "a"), ("answer", "b"),
    ]  # fmt: skip
    assert words(panel.waves[1][1]).endswith('Do you choose "b"?')


# ---------------------------------------------------------------------- results


def test_rows_have_every_item_of_everybody() -> None:
    """Long rows hold every field, wide rows one line per respondent; both are marked."""
    results, _ = run(EVERY, people=("ada", "bob"))
    long = list(results.long())
    assert len(long) == 2 * sum(len(question.items) for question in EVERY.all_questions)
    assert {row["simulated"] for row in long} == {True}
    assert {tuple(row) for row in long} == {tuple(long[0])}
    wide = list(results.wide())
    assert [row["respondent"] for row in wide] == ["ada", "bob"]
    assert wide[0]["hobbies_4"] in {"yes", "no"}
    assert [wide[0]["sugar"], wide[0]["milk"]].count(None) == 1
    coded = next(results.wide(codes=True))
    assert (coded["joy"], coded["plants_2"], coded["why"]) == (1.0, 2.0, "well, you know")
    assert SurveyResults.model_validate_json(results.model_dump_json()) == results


@pytest.mark.parametrize("people", [(), ("ada", "bob", "ada")])
def test_nobody_and_nobody_twice(people: tuple[str, ...]) -> None:
    """A survey needs respondents, each of them once."""
    with pytest.raises(
        SurveyError, match=f"distinct respondents; got {list(people)!r}".replace("[", r"\[")
    ):
        run(EVERY, people=people)
