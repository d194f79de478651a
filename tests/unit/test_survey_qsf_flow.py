"""Who is asked what: skips, ends, branches, loops, choices and texts under conditions."""

from __future__ import annotations

import pytest

from tests.fixtures.qsf import block, choices, chosen, logic, question, survey_of
from tests.unit.test_survey_walk import by_id, response, run, words
from usersim.survey import Matrix, MultipleChoice, SingleChoice
from usersim.survey.files import SurveyImport, read_qsf

YES_NO = {"Choices": choices("Yes", "No")}
CONSENT = question("QID1", "consent", "Do you take part?", "MC", "SAVR", **YES_NO)
PIPE = question("QID2", "pipe", "Do you play an instrument?", "MC", "SAVR", **YES_NO)
HOURS = question("QID3", "hours", "How many hours a week?", "TE", "SL", Validation={"Settings": {
    "Type": "ContentType", "ContentType": "ValidNumber", "ValidNumber": {"Min": "0"}}})  # fmt: skip
LAST = question("QID4", "last", "Anything else?", "TE", "ML")


def skips(number: str, choice: str, to: str, operator: str = "Selected") -> dict[str, object]:
    """A block element with one skip."""
    skip = {
        "SkipLogicID": 1, "Locator": f"q://{number}/SelectableChoice/{choice}",
        "ChoiceLocator": f"q://{number}/SelectableChoice/{choice}", "Condition": operator,
        "SkipToDestination": to, "QuestionID": number, "Description": "...",
    }  # fmt: skip
    return {"Type": "Question", "QuestionID": number, "SkipLogic": [skip]}


def asked_of(found: SurveyImport, **answers: object) -> list[str]:
    """Ids of the questions that somebody with these answers is asked."""
    results, _ = run(found.survey, by_id(answers))
    return list(dict.fromkeys(one.question for one in results.responses if one.skipped is None))


def notes(found: SurveyImport) -> str:
    """All notes, a line each."""
    return "\n".join(map(str, found.notes))


# ---------------------------------------------------------------------- skips and ends


def test_skip_logic_ends_the_survey_and_skips_within_a_block() -> None:
    """Who does not take part is asked no more, in later blocks either; others skip a question."""
    first = {**block("BL_1"), "BlockElements": [
        skips("QID1", "2", "ENDOFSURVEY"), skips("QID2", "2", "QID4"),
        {"Type": "Question", "QuestionID": "QID3"}, {"Type": "Page Break"},
        {"Type": "Question", "QuestionID": "QID4"}]}  # fmt: skip
    late = question("QID5", "late", "And now?", "TE", "SL")
    blocks = [first, block("BL_2", "QID5")]
    found = read_qsf(survey_of(CONSENT, PIPE, HOURS, LAST, late, blocks=blocks))
    assert asked_of(found, consent="No") == ["consent"]
    assert asked_of(found, consent="Yes", pipe="No") == ["consent", "pipe", "last", "late"]
    assert asked_of(found, consent="Yes", pipe="Yes") == [
        "consent", "pipe", "hours", "last", "late",
    ]  # fmt: skip
    assert found.notes == ()


def test_a_skip_to_the_end_of_its_block_leaves_later_blocks() -> None:
    """`ENDOFBLOCK` ends the block alone."""
    first = {**block("BL_1"), "BlockElements": [
        skips("QID2", "1", "ENDOFBLOCK", "NotSelected"),
        {"Type": "Question", "QuestionID": "QID3"}]}  # fmt: skip
    found = read_qsf(survey_of(PIPE, HOURS, LAST, blocks=[first, block("BL_2", "QID4")]))
    assert asked_of(found, pipe="No") == ["pipe", "last"]
    assert asked_of(found, pipe="Yes") == ["pipe", "hours", "last"]


def test_a_negated_skip_does_not_hold_for_those_who_were_not_asked() -> None:
    """Who never saw the question skips nothing."""
    hidden = question("QID2", "pipe", "Do you play?", "MC", "SAVR", **YES_NO,
                      DisplayLogic=logic(chosen("QID1", "1")))  # fmt: skip
    first = {**block("BL_1"), "BlockElements": [
        {"Type": "Question", "QuestionID": "QID1"},
        skips("QID2", "1", "ENDOFSURVEY", "NotSelected"),
        {"Type": "Question", "QuestionID": "QID4"}]}  # fmt: skip
    found = read_qsf(survey_of(CONSENT, hidden, LAST, blocks=[first]))
    assert asked_of(found, consent="No") == ["consent", "last"]
    assert asked_of(found, consent="Yes", pipe="No") == ["consent", "pipe"]


def test_a_skip_that_cannot_be_said_is_noted_and_nobody_skips() -> None:
    """By question, destination and operand."""
    counted = skips("QID1", "2", "ENDOFSURVEY")
    counted["SkipLogic"][0] |= {"Locator": "q://QID1/SelectedChoicesCount", "Condition": "EqualTo"}
    first = {
        **block("BL_1"),
        "BlockElements": [
            counted,
            skips("QID2", "1", "QID99"),
            {"Type": "Question", "QuestionID": "QID4"},
        ],
    }
    found = read_qsf(survey_of(CONSENT, PIPE, LAST, blocks=[first]))
    assert asked_of(found, consent="No") == ["consent", "pipe", "last"]
    assert "QID1 (consent): skip logic to ENDOFSURVEY: operand" in notes(found)
    assert "QID2 (pipe): skip logic to QID99: not later in its block: nobody skips" in notes(found)


def test_a_branch_to_the_end_of_the_survey_screens_out() -> None:
    """Later blocks are asked of the others; a block inside the branch is asked before the end."""
    why = question("QID3", "why", "Why not?", "TE", "ML")
    blocks = [block("BL_1", "QID1"), block("BL_2", "QID3"), block("BL_3", "QID4")]
    flow = [
        {"Type": "Standard", "ID": "BL_1", "FlowID": "FL_2"},
        {"Type": "Branch", "FlowID": "FL_3", "BranchLogic": logic(chosen("QID1", "2")),
         "Flow": [{"Type": "Standard", "ID": "BL_2", "FlowID": "FL_4"},
                  {"Type": "EndSurvey", "FlowID": "FL_5", "EndingType": "Advanced"}]},
        {"Type": "Standard", "ID": "BL_3", "FlowID": "FL_6"},
    ]  # fmt: skip
    found = read_qsf(survey_of(CONSENT, why, LAST, blocks=blocks, flow=flow))
    assert asked_of(found, consent="No") == ["consent", "why"]
    assert asked_of(found, consent="Yes") == ["consent", "last"]
    assert found.notes == ()


def test_a_branch_that_cannot_be_said_ends_the_survey_for_nobody() -> None:
    """Its blocks are asked of everybody, and the note says both."""
    blocks = [block("BL_1", "QID1"), block("BL_2", "QID3"), block("BL_3", "QID4")]
    flow = [
        {"Type": "Block", "ID": "BL_1"},
        {"Type": "Branch", "FlowID": "FL_3", "BranchLogic": logic(
            {"LogicType": "DeviceType", "Operator": "Is", "LeftOperand": "mobile"}),
         "Flow": [{"Type": "Block", "ID": "BL_2"}, {"Type": "EndSurvey"}]},
        {"Type": "Block", "ID": "BL_3"},
    ]  # fmt: skip
    found = read_qsf(survey_of(CONSENT, HOURS, LAST, blocks=blocks, flow=flow))
    assert asked_of(found) == ["consent", "hours", "last"]
    assert (
        "flow FL_3: branch: logic about 'DeviceType': its blocks are asked of everybody and "
        "nobody is sent to the end"
    ) in notes(found)


def test_what_comes_after_an_unconditional_end_is_left_out() -> None:
    """And noted by block."""
    blocks = [block("BL_1", "QID1"), block("BL_2", "QID4")]
    flow = [{"Type": "Block", "ID": "BL_1"}, {"Type": "EndSurvey"}, {"Type": "Block", "ID": "BL_2"}]
    found = read_qsf(survey_of(CONSENT, LAST, blocks=blocks, flow=flow))
    assert asked_of(found) == ["consent"]
    assert "block BL_2: after an end of the survey: left out: nobody is asked" in notes(found)


def test_a_quota_is_noted_and_never_met() -> None:
    """It limits nobody, and a branch on it is never taken."""
    quota = {"Element": "QO", "PrimaryAttribute": "QO_1", "Payload": {
        "Name": "players", "Occurrences": 40, "Logic": logic(chosen("QID2", "1")),
        "QuotaAction": "EndCurrentSurvey"}}  # fmt: skip
    blocks = [block("BL_1", "QID2"), block("BL_2", "QID4")]
    met = {"LogicType": "Quota", "QuotaID": "QO_1", "Operator": "QuotaMet"}
    flow = [
        {"Type": "Block", "ID": "BL_1"},
        {"Type": "Branch", "FlowID": "FL_3", "BranchLogic": logic(met),
         "Flow": [{"Type": "EndSurvey"}]},
        {"Type": "Block", "ID": "BL_2"},
    ]  # fmt: skip
    found = read_qsf(survey_of(PIPE, LAST, blocks=blocks, flow=flow, more=[quota]))
    assert asked_of(found) == ["pipe", "last"]
    assert (
        "QO_1: quota 'players' of 40 where pipe == \"Yes\", then EndCurrentSurvey: not counted: "
        "nobody is turned away, no quota is ever met"
    ) in notes(found)
    assert "flow FL_3: a branch that can never be taken: left out" in notes(found)


def test_a_block_that_stands_in_two_branches_is_asked_in_either() -> None:
    """Once, where it stands first, of those in the one branch or in the other."""
    blocks = [block("BL_1", "QID1", "QID2"), block("BL_2", "QID4")]
    flow = [
        {"Type": "Block", "ID": "BL_1"},
        *({"Type": "Branch", "FlowID": f"FL_{number}", "BranchLogic": logic(chosen(number, "1")),
           "Flow": [{"Type": "Block", "ID": "BL_2"}]} for number in ("QID1", "QID2")),
    ]  # fmt: skip
    found = read_qsf(survey_of(CONSENT, PIPE, LAST, blocks=blocks, flow=flow))
    assert asked_of(found, consent="No", pipe="Yes")[-1] == "last"
    assert asked_of(found, consent="Yes", pipe="No")[-1] == "last"
    assert asked_of(found, consent="No", pipe="No")[-1] == "pipe"
    assert "block BL_2: stands in the flow again: asked once, where it stands first" in notes(found)


def test_an_end_that_only_some_meet_at_random_is_noted() -> None:
    """Nobody is sent there."""
    blocks = [block("BL_1", "QID1"), block("BL_2", "QID4")]
    flow = [
        {"Type": "Block", "ID": "BL_1"},
        {"Type": "BlockRandomizer", "FlowID": "FL_2", "SubSet": 1, "Flow": [
            {"Type": "EndSurvey", "FlowID": "FL_3"}, {"Type": "Block", "ID": "BL_2"}]},
    ]  # fmt: skip
    found = read_qsf(survey_of(CONSENT, LAST, blocks=blocks, flow=flow))
    assert asked_of(found) == ["consent", "last"]
    assert "flow FL_3: an end of the survey for some at random: nobody ends there" in notes(found)


# ---------------------------------------------------------------------- texts


def test_a_text_in_a_block_of_its_own_is_read_with_the_next_questions() -> None:
    """Under the condition of its branch, and of nobody else's."""
    story = question("QID2", "story", "Mia found a wallet and kept it.", "DB", "TB")
    other = question("QID3", "other", "Mia found a wallet and returned it.", "DB", "TB")
    right = question("QID4", "right", "Was that right?", "MC", "SAVR", **YES_NO)
    blocks = [block(f"BL_{n}", f"QID{n}") for n in range(1, 5)]
    flow = [
        {"Type": "Block", "ID": "BL_1"},
        {"Type": "Branch", "BranchLogic": logic(chosen("QID1", "1")),
         "Flow": [{"Type": "Block", "ID": "BL_2"}]},
        {"Type": "Branch", "BranchLogic": logic(chosen("QID1", "2")),
         "Flow": [{"Type": "Block", "ID": "BL_3"}]},
        {"Type": "Block", "ID": "BL_4"},
    ]  # fmt: skip
    found = read_qsf(survey_of(CONSENT, story, other, right, blocks=blocks, flow=flow))
    for said, text in (("Yes", "Mia found a wallet and kept it."),
                       ("No", "Mia found a wallet and returned it.")):  # fmt: skip
        _, panel = run(found.survey, by_id({"consent": said}))
        assert words(panel.waves[1][0]) == f"{text}\nWas that right?"
    assert found.notes == ()


def test_a_text_between_questions_is_read_from_there_on_under_its_condition() -> None:
    """Not before it, and only by those for whom its display logic is true."""
    rich = question("QID2", "t1", "You pay a fee.", "DB", "TB",
                    DisplayLogic=logic(chosen("QID1", "1")))  # fmt: skip
    fair = question("QID3", "fair", "Is that fair?", "MC", "SAVR", **YES_NO)
    found = read_qsf(survey_of(CONSENT, rich, fair, LAST))
    _, panel = run(found.survey, by_id({"consent": "Yes"}))
    assert words(panel.waves[0][0]) == "Do you take part?"
    assert [words(one) for one in panel.waves[1]] == [
        "You pay a fee.\nIs that fair?", "You pay a fee.\nAnything else?",
    ]  # fmt: skip
    _, panel = run(found.survey, by_id({"consent": "No"}))
    assert words(panel.waves[1][0]) == "Is that fair?"


def test_texts_that_are_lost_are_noted() -> None:
    """Those after the last question, and those that only some are shown at random."""
    thanks = question("QID4", "thanks", "Thank you.", "DB", "TB")
    a, b = (question(f"QID{n}", f"t{n}", f"Story {n}.", "DB", "TB") for n in (2, 3))
    blocks = [block("BL_A", "QID2"), block("BL_B", "QID3"), block("BL_1", "QID1"),
              block("BL_2", "QID4")]  # fmt: skip
    flow = [
        {"Type": "BlockRandomizer", "FlowID": "FL_1", "SubSet": 1, "Flow": [
            {"Type": "Block", "ID": "BL_A"}, {"Type": "Block", "ID": "BL_B"}]},
        {"Type": "Block", "ID": "BL_1"}, {"Type": "Block", "ID": "BL_2"},
    ]  # fmt: skip
    found = read_qsf(survey_of(CONSENT, a, b, thanks, blocks=blocks, flow=flow))
    _, panel = run(found.survey)
    assert words(panel.waves[0][0]) == "Do you take part?"
    said = notes(found)
    assert "QID2 (t2): one of several texts: left out: it is shown to some at random" in said
    assert "QID4 (thanks): a text after the last question: left out" in said


# ---------------------------------------------------------------------- loops


def test_a_block_is_asked_once_for_each_row_of_a_fixed_list() -> None:
    """With the fields of the row in its texts; columns of exports carry the row's number."""
    fee = question("QID1", "fee", "Should ${lm://Field/1} pay (${lm://Field/2})?", "MC", "SAVR",
                   **YES_NO)  # fmt: skip
    why = question("QID2", "why", "Why?", "TE", "SL", DisplayLogic=logic(chosen("QID1", "1")))
    looped = block("BL_1", "QID1", "QID2", Looping="Static", LoopingOptions={
        "Static": {"1": {"1": "cars", "2": "big"}, "3": {"1": "bikes", "2": "small"}}})  # fmt: skip
    found = read_qsf(survey_of(fee, why, blocks=[looped]))
    assert [one.text for one in found.survey.all_questions] == [
        "Should cars pay (big)?", "Why?", "Should bikes pay (small)?", "Why?",
    ]  # fmt: skip
    assert asked_of(found, fee_loop1="Yes", fee_loop3="No") == [
        "fee_loop1", "why_loop1", "fee_loop3",
    ]  # fmt: skip
    assert found.columns["3_QID1"].question == "fee_loop3"
    assert found.ids["QID1"] == ("fee_loop1", "fee_loop3")
    assert found.notes == ()


def test_a_block_is_asked_for_each_choice_that_was_taken() -> None:
    """The loop's first field is the choice; who did not take it is not asked about it."""
    cities = question("QID1", "cities", "Which cities?", "MC", "MAVR",
                      Choices=choices("Rome", "Oslo"))  # fmt: skip
    like = question("QID2", "like", "Do you like ${lm://Field/1}?", "MC", "SAVR", **YES_NO)
    looped = block("BL_2", "QID2", Looping="Question", LoopingOptions={
        "QID": "QID1", "Locator": "q://QID1/ChoiceGroup/SelectedChoices",
        "Static": {"1": {"2": ""}, "2": {"2": ""}}})  # fmt: skip
    found = read_qsf(survey_of(cities, like, blocks=[block("BL_1", "QID1"), looped]))
    results, panel = run(found.survey, lambda ask: "yes" if ask.item == "Oslo" else "no")
    assert (
        response(results, "like_loop1").skipped == "show_if 'selected(cities, \"Rome\")' is false"
    )
    assert words(panel.waves[1][0]) == "Do you like Oslo?"


def test_a_loop_over_something_else_is_noted() -> None:
    """And the block asked once."""
    looped = block("BL_1", "QID1", Looping="Question", LoopingOptions={
        "Locator": "q://QID9/ChoiceGroup/SelectedChoices", "Randomization": "All"})  # fmt: skip
    found = read_qsf(survey_of(CONSENT, blocks=[looped]))
    assert asked_of(found) == ["consent"]
    assert "block BL_1: loop over 'q://QID9/ChoiceGroup/SelectedChoices': asked once" in notes(
        found
    )


# ---------------------------------------------------------------------- choices


def test_choices_carried_forward_are_options_under_a_condition() -> None:
    """Before or among a question's own choices, or as the rows of a matrix."""
    pets = question(
        "QID1", "pets", "Which do you know?", "MC", "MAVR", Choices=choices("Cat", "Dog")
    )
    dynamic = {"DynamicType": "ChoiceGroup", "Type": "Dynamic",
               "Locator": "q://QID1/ChoiceGroup/SelectedChoices"}  # fmt: skip
    best = question("QID2", "best", "The best?", "MC", "SAVR", Choices=choices("None"),
                    ChoiceOrder=["1", "x1", "x2"], DynamicChoices=dynamic)  # fmt: skip
    rate = question(
        "QID3",
        "rate",
        "Rate",
        "Matrix",
        "Likert",
        SubSelector="SingleAnswer",
        Choices=[],
        ChoiceOrder=[],
        Answers=choices("bad", "good"),
        DynamicChoices={**dynamic, "Locator": "q://QID1/ChoiceGroup/UnselectedChoices"},
    )
    found = read_qsf(survey_of(pets, best, rate))
    one = found.survey.question("best")
    assert isinstance(one, SingleChoice)
    assert one.options == ("None", "Cat", "Dog")
    results, _ = run(found.survey, lambda ask: "yes" if ask.item == "Dog" else "no")
    assert response(results, "best").shown == ("None", "Dog")
    grid = found.survey.question("rate")
    assert isinstance(grid, Matrix)
    assert grid.rows_if["Cat"] == 'not (selected(pets, "Cat"))'
    assert response(results, "rate", "Cat").answered
    assert not response(results, "rate", "Dog").answered
    assert found.columns["QID3_x2"].item == "Dog"
    assert found.notes == ()


def test_a_choice_with_display_logic_is_shown_to_some() -> None:
    """And to nobody else."""
    vote = question("QID2", "vote", "Whom?", "MC", "SAVR", Choices={
        "1": {"Display": "The player", "DisplayLogic": logic(chosen("QID1", "1"))},
        "2": {"Display": "Another"}, "3": {"Display": "Nobody"}})  # fmt: skip
    found = read_qsf(survey_of(CONSENT, vote))
    for said, shown in (
        ("Yes", ("The player", "Another", "Nobody")),
        ("No", ("Another", "Nobody")),
    ):
        results, _ = run(found.survey, by_id({"consent": said}))
        assert response(results, "vote").shown == shown


def test_choices_and_answers_whose_conditions_cannot_be_said_are_noted() -> None:
    """By question and label: a choice from elsewhere, an answer of a grid."""
    vote = question(
        "QID2",
        "vote",
        "Whom?",
        "MC",
        "SAVR",
        Choices={
            "1": {"Display": "The player", "DisplayLogic": logic(chosen("QID9", "1"))},
            "2": {"Display": "Another"},
        },
        DynamicChoices={"Locator": "q://QID8/ChoiceGroup/X"},
    )
    grid = question("QID3", "grid", "Rate", "Matrix", "Likert", SubSelector="SingleAnswer",
                    Choices=choices("Tea"), Answers={
        "1": {"Display": "bad"}, "2": {"Display": "good", "DisplayLogic":
                                       logic(chosen("QID1", "1"))}})  # fmt: skip
    said = notes(read_qsf(survey_of(CONSENT, vote, grid)))
    assert "QID2 (vote): display logic of the choice 'The player': operand" in said
    assert "QID2 (vote): choices carried forward from 'q://QID8/ChoiceGroup/X': left out" in said
    assert "QID3 (grid): display logic of the answer 'good': consent == \"Yes\"" in said


def test_a_question_with_one_choice_is_a_box_and_conditions_hold_on_it() -> None:
    """Yes, or nothing."""
    box = question("QID1", "consent", "Please read and agree.", "MC", "SAVR",
                   Choices=choices("I agree"))  # fmt: skip
    flow = [
        {"Type": "Standard", "ID": "BL_1"},
        {"Type": "Branch", "BranchLogic": logic(chosen("QID1", "1")),
         "Flow": [{"Type": "Standard", "ID": "BL_2"}]},
    ]  # fmt: skip
    found = read_qsf(
        survey_of(box, LAST, blocks=[block("BL_1", "QID1"), block("BL_2", "QID4")], flow=flow)
    )
    assert isinstance(found.survey.question("consent"), MultipleChoice)
    assert asked_of(found, consent="yes") == ["consent", "last"]
    assert asked_of(found, consent="no") == ["consent"]
    assert found.notes == ()


# ---------------------------------------------------------------------- embedded data


def embedded(**values: str) -> dict[str, object]:
    """A flow element that sets fields."""
    rows = [{"Field": k, "Type": "Custom", "Value": v, "Description": k} for k, v in values.items()]
    return {"Type": "EmbeddedData", "FlowID": "FL_9", "EmbeddedData": rows}


def test_embedded_data_with_a_value_stand_in_texts_and_decide_conditions() -> None:
    """Fixed values at once; those set in a branch by the branch's condition."""
    hello = question("QID3", "hello", "Welcome to ${e://Field/study}.", "TE", "SL")
    only = question("QID4", "only", "For players only?", "MC", "SAVR", **YES_NO, DisplayLogic=logic(
        {"LogicType": "EmbeddedField", "LeftOperand": "group", "Operator": "EqualTo",
         "RightOperand": "player"}))  # fmt: skip
    never = question("QID5", "never", "Never?", "TE", "SL", DisplayLogic=logic(
        {"LogicType": "EmbeddedField", "LeftOperand": "study", "Operator": "EqualTo",
         "RightOperand": "other"}))  # fmt: skip
    flow = [
        embedded(study="wave 2", group="none"),
        {"Type": "Block", "ID": "BL_1"},
        {"Type": "Branch", "BranchLogic": logic(chosen("QID2", "1")),
         "Flow": [embedded(group="player")]},
        {"Type": "Block", "ID": "BL_2"},
    ]  # fmt: skip
    blocks = [block("BL_1", "QID2"), block("BL_2", "QID3", "QID4", "QID5")]
    found = read_qsf(survey_of(PIPE, hello, only, never, blocks=blocks, flow=flow))
    assert found.survey.question("hello").text == "Welcome to wave 2."
    assert asked_of(found, pipe="Yes") == ["pipe", "hello", "only"]
    assert asked_of(found, pipe="No") == ["pipe", "hello"]
    assert notes(found) == "QID5 (never): display logic that is never true: left out"


@pytest.mark.parametrize("value", ["${rand://int/1:2}", "${gr://SC_1/Score}"])
def test_embedded_data_that_are_drawn_or_scored_are_noted_where_they_matter(value: str) -> None:
    """Texts and conditions that need them say so."""
    text = question("QID3", "text", "Arm ${e://Field/arm}", "TE", "SL", DisplayLogic=logic(
        {"LogicType": "EmbeddedField", "LeftOperand": "arm", "Operator": "EqualTo",
         "RightOperand": "1"}))  # fmt: skip
    flow = [embedded(arm=value), {"Type": "Block", "ID": "BL_1"}]
    found = read_qsf(survey_of(text, blocks=[block("BL_1", "QID3")], flow=flow))
    assert found.survey.question("text").text == "Arm [...]"
    said = notes(found)
    assert "QID3 (text): piped text ${e://Field/arm} in its text: replaced by [...]" in said
    assert "QID3 (text): display logic: embedded data 'arm', whose value is not known" in said


# ---------------------------------------------------------------------- what is displayed


def test_whether_a_question_was_displayed_is_its_own_condition() -> None:
    """Texts can be asked for, too."""
    story = question("QID2", "story", "A story.", "DB", "TB",
                     DisplayLogic=logic(chosen("QID1", "1")))  # fmt: skip
    seen = question("QID4", "seen", "Did you like it?", "TE", "SL", DisplayLogic=logic(
        {"LogicType": "Question", "LeftOperand": "q://QID2/QuestionDisplayed",
         "Operator": "Displayed"}))  # fmt: skip
    found = read_qsf(survey_of(CONSENT, story, seen))
    assert found.survey.question("seen").show_if == 'consent == "Yes"'


def test_a_condition_that_need_not_be_known_is_taken_away_alone() -> None:
    """In a shuffled block one part of a condition goes, and the other one stays."""
    both = question("QID3", "both", "Both?", "TE", "SL", DisplayLogic=logic(
        chosen("QID1", "1"), chosen("QID2", "1", Conjuction="And")))  # fmt: skip
    blocks = [
        block("BL_1", "QID1"),
        block("BL_2", "QID2", "QID3", RandomizeQuestions="RandomizeAll"),
    ]
    flow = [{"Type": "Block", "ID": "BL_1"},
            {"Type": "Branch", "BranchLogic": logic(chosen("QID1", "1")),
             "Flow": [{"Type": "Block", "ID": "BL_2"}]}]  # fmt: skip
    found = read_qsf(survey_of(CONSENT, PIPE, both, blocks=blocks, flow=flow))
    assert found.survey.sections[1].show_if == 'consent == "Yes"'
    assert found.survey.question("both").show_if == ""
    assert "may not have been asked by then: removed: asked of everybody" in notes(found)


def test_a_text_after_the_last_question_of_a_block_is_read_with_the_next_block() -> None:
    """Nobody has read it before the questions above it."""
    story = question("QID2", "story", "Mia found a wallet.", "DB", "TB",
                     DisplayLogic=logic(chosen("QID1", "1")))  # fmt: skip
    found = read_qsf(
        survey_of(
            CONSENT, story, LAST, blocks=[block("BL_1", "QID1", "QID2"), block("BL_2", "QID4")]
        )
    )
    _, panel = run(found.survey)
    assert words(panel.waves[0][0]) == "Do you take part?"
    assert words(panel.waves[1][0]) == "Mia found a wallet.\nAnything else?"
    assert found.notes == ()
