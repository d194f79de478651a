"""Whole people cut into windows: what is learned, what is shown, and in how many tokens."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from tests.fixtures.lessons import (
    LIKING,
    Letters,
    answered,
    closed,
    engine_encoder,
    lesson,
    letters,
)
from tests.fixtures.tiny import END, START, make_tokenizer
from usersim.config import HistoryConfig
from usersim.prompts import respond_prompt
from usersim.training.dataset import EncodedExample, Encoder, EngineEncoder, encode_example
from usersim.training.windows import TrainingStep, Window, Windows, lessons_digest
from usersim.types import (
    Choice,
    Interaction,
    MultiChoice,
    Number,
    PersonLesson,
    Scale,
    TrainingExample,
)

TURNS = HistoryConfig()
STRICT = (
    "{% for m in messages %}{% if m['role'] == 'system' %}{{ raise_exception('no system') }}"
    "{% endif %}{% if (m['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('roles must alternate') }}{% endif %}"
    f"[{{{{ m['role'] }}}}]{{{{ m['content'] | trim }}}}{END}{{% endfor %}}"
    "{% if add_generation_prompt %}[assistant]{% endif %}"
)
"""Merges the system message into the first question, and trims contents."""
THINKING = (
    "{% for m in messages %}"
    f"{START}{{{{ m['role'] }}}}\n{{{{ m['content'] }}}}{END}\n"
    "{% endfor %}"
    f"{{% if add_generation_prompt %}}{START}assistant\n<go>\n{{% endif %}}"
)
"""Adds a text to the model's own turn that past turns do not have."""
PLAIN = None
"""No template at all."""
TEMPLATES = {"strict": STRICT, "thinking": THINKING, "plain": PLAIN}


def windows(
    lessons: Sequence[PersonLesson],
    *,
    encoder: Encoder | None = None,
    history: HistoryConfig = TURNS,
    tokens: int = 400,
    most: int | None = None,
) -> Windows:
    """Return windows over letters."""
    return Windows(lessons, encoder or Letters(), history, window_tokens=tokens, max_tokens=most)


def mixed(user: str, n: int) -> list:
    """Return answers of every kind, with options that change, long texts and traces to come."""
    rows = closed(user, n)
    for place in range(0, n, 5):
        rows[place] = answered(
            f"{user}-{place}",
            f"Tell me about {place}. " * (1 + place // 5),
            "It was late, and we walked on. " * (1 + place // 3),
            user=user,
            place=place,
        )
    for place in range(2, n, 7):
        space = MultiChoice(("tea", "rain", "train")) if place % 2 else Number(low=0, high=10)
        rows[place] = answered(
            f"{user}-{place}",
            f"Which of them, {place}?",
            ("tea", "train") if place % 2 else 7.0,
            user=user,
            place=place,
            space=space,
        )
    return rows


def people(n: int, rows: int) -> list[PersonLesson]:
    """Return lessons with traces on some answers, and the newest answers held out."""
    found = []
    for number in range(n):
        own = mixed(f"p{number}", rows)
        found.append(
            lesson(
                own,
                held=[one.key for one in own[rows - rows // 5 :]],
                reasonings={one.key: "The garden is quiet." for one in own[::4]},
                ordered=number % 2 == 0,
                profile="A nurse." if number % 3 else None,
            )
        )
    return found


def learned(steps: Sequence[TrainingStep]) -> list[tuple[int, int]]:
    """Return the person and the place of everything that is predicted, in order."""
    return [
        (window.lesson, member)
        for step in steps
        for window in step.windows
        for member in window.members[window.first :]
    ]


def expected(
    made: PersonLesson, window: Window, encoder: Encoder, history: HistoryConfig
) -> Iterator[EncodedExample]:
    """Encode a window the plain way: each prompt rendered whole, by itself."""
    rows = [made.interactions[member] for member in window.members]
    for place in range(window.first, len(rows)):
        one = rows[place]
        before = rows[: window.first] if window.apart else rows[:place]
        yield encode_example(
            TrainingExample(
                key=one.key,
                user_id=one.user_id,
                messages=respond_prompt(
                    one.user_id, one.question, before, config=history, profile=made.profile
                ),
                reasoning=made.reasonings.get(one.key, ""),
                action=one.action_text,
                options=one.space.options if isinstance(one.space, Choice | Scale) else (),
                after=made.after,
            ),
            encoder,
        )


def check_step(
    lessons: Sequence[PersonLesson],
    cut: Windows,
    step: TrainingStep,
    encoder: Encoder,
    view: HistoryConfig,
) -> int:
    """Compare a step's tree with the plain encoding of each answer; return its nodes."""
    from usersim.training.batches import make_batch

    batch = cut.batch(step)
    plain = make_batch(
        [
            one
            for window in step.windows
            for one in expected(lessons[window.lesson], window, encoder, view)
        ]
    )
    assert batch.row.tokens.tolist() == plain.row.tokens.tolist()
    assert batch.row.positions.tolist() == plain.row.positions.tolist()
    assert batch.nodes.tolist() == plain.nodes.tolist()
    assert batch.target.tolist() == plain.target.tolist()
    assert batch.options.tolist() == plain.options.tolist()
    assert batch.truth.tolist() == plain.truth.tolist()
    return len(batch.row.tokens)


# ---------------------------------------------------------------------- tokens and sharing


def follows(encoder: Encoder, view: HistoryConfig = TURNS) -> bool:
    """Return whether every prompt begins with the one before it and the answer to that."""
    rows = closed("ada", 6)
    prompts = [
        encoder.prompt(respond_prompt("ada", one.question, rows[:place], config=view), "")
        for place, one in enumerate(rows)
    ]
    return all(
        after[: len(before) + len(said)] == [*before, *said]
        for before, after, one in zip(prompts, prompts[1:], rows, strict=False)
        for said in [encoder.continuation(one.action_text, end=False)]
    )


def test_a_prompt_begins_with_the_one_before_and_its_answer():
    """That is what lets a whole person be one path of a tree."""
    assert follows(EngineEncoder(make_tokenizer()))
    assert follows(EngineEncoder(make_tokenizer(STRICT)))
    assert follows(EngineEncoder(make_tokenizer(PLAIN)))
    assert not follows(EngineEncoder(make_tokenizer(THINKING)))


@pytest.mark.model
def test_a_prompt_begins_with_the_one_before_in_the_embedded_model(embedded_model: Path):
    """The real tokenizer's template keeps past turns as it wrote them."""
    encoder = engine_encoder(embedded_model)
    assert follows(encoder)
    lessons = people(2, 20)
    cut = windows(lessons, encoder=encoder, tokens=512)
    for step in cut.plan(epochs=1, seed=0):
        nodes = check_step(lessons, cut, step, encoder, TURNS)
        assert nodes <= step.tokens <= min(512, 1.1 * nodes)


@pytest.mark.parametrize("template", ["chatml", *TEMPLATES])
@pytest.mark.parametrize("form", ["turns", "page"])
def test_a_step_is_the_plain_encoding_of_its_answers_within_its_tokens(template: str, form):
    """Whatever a template merges or adds: the same terms as one by one, and no node too many."""
    tokenizer = make_tokenizer() if template == "chatml" else make_tokenizer(TEMPLATES[template])
    encoder, view = EngineEncoder(tokenizer), HistoryConfig(form=form, max_item_chars=60)
    lessons = people(3, 15)
    cut = windows(lessons, encoder=encoder, history=view, tokens=700, most=2048)
    for step in [*cut.plan(epochs=1, seed=0), *cut.validation(most=8)]:
        nodes = check_step(lessons, cut, step, encoder, view)
        # A merging template may join the system message and the first question otherwise.
        assert nodes <= step.tokens + 2 * len(step.windows)
        alone = len(step.windows) == 1 and len(step.windows[0].members) == 1
        assert alone or step.tokens <= 700


@pytest.mark.parametrize("template", ["chatml", *TEMPLATES])
def test_traces_after_the_answers_keep_a_step_within_its_tokens(template: str):
    """The turn in which a trace is learned is counted, and no action stands after a trace."""
    tokenizer = make_tokenizer() if template == "chatml" else make_tokenizer(TEMPLATES[template])
    encoder, view = EngineEncoder(tokenizer), HistoryConfig(max_item_chars=60)
    lessons = [replace(one, after=True) for one in people(3, 15)]
    cut = windows(lessons, encoder=encoder, history=view, tokens=900, most=2048)
    for step in [*cut.plan(epochs=1, seed=0), *cut.validation(most=8)]:
        nodes = check_step(lessons, cut, step, encoder, view)
        assert nodes <= step.tokens + 2 * len(step.windows)
        assert not cut.batch(step).reasoned.any()
    before = windows(people(3, 15), encoder=encoder, history=view, tokens=900, most=2048)
    assert before.check().with_reasoning > cut.check().with_reasoning == 0
    assert before.check().learned == cut.check().learned


def test_the_tokens_of_a_step_are_known_before_its_tree_is_built():
    """Without cut texts they are those of the tree, but for the last answer's last token."""
    encoder = EngineEncoder(make_tokenizer())
    lessons = [lesson(closed(user, 30)) for user in ("ada", "bob")]
    cut = windows(lessons, encoder=encoder, tokens=500)
    steps = cut.plan(epochs=1, seed=0)
    assert all(len(step.windows) == 1 for step in steps)
    assert {s.tokens - len(cut.batch(s).row.tokens) for s in steps} <= {0, 1}


def test_most_of_a_window_is_shared():
    """A window costs a fraction of what its prompts have together."""
    encoder = EngineEncoder(make_tokenizer())
    made = lesson(closed("ada", 12))
    cut = windows([made], encoder=encoder, tokens=100_000)
    (step,) = cut.plan(epochs=1, seed=0)
    plain = list(expected(made, step.windows[0], encoder, TURNS))
    assert 6 * step.tokens < sum(len(t.tokens) for one in plain for t in one.terms)


# ---------------------------------------------------------------------- what is learned


@pytest.mark.parametrize("tokens", [80, 300, 1500])
def test_each_epoch_learns_each_answer_once(tokens: int):
    """Whatever a window holds; what is held out is never learned."""
    lessons = people(5, 15)
    steps = windows(lessons, tokens=tokens).plan(epochs=3, seed=1)
    held = {
        (number, place)
        for number, made in enumerate(lessons)
        for place, one in enumerate(made.interactions)
        if one.key in made.held
    }
    every = {(n, place) for n in range(5) for place in range(15)}
    assert Counter(learned(steps)) == dict.fromkeys(every - held, 3)
    assert sum(step.answers for step in steps) == 3 * len(every - held)


def test_what_is_held_out_stands_in_no_prompt_that_is_learned_from():
    """Neither its question nor its answer, whoever's it is; it is measured all the same."""
    lessons = [
        lesson(
            [
                answered(f"{user}{i}", f"{mark}{i} question?", f"{mark}{i} answer.", user=user)
                for i in range(10)
                for mark in ["secret" if i in hidden else "open"]
            ],
            held=[f"{user}{i}" for i in hidden],
            ordered=user != "cleo",
        )
        for user, hidden in [("ada", (7, 8, 9)), ("bob", tuple(range(10))), ("cleo", (2, 5))]
    ]
    cut = windows(lessons, tokens=300)
    for step in cut.plan(epochs=4, seed=0):
        assert "secret" not in letters(cut.batch(step).row.tokens.tolist())
    shown = "".join(letters(cut.batch(s).row.tokens.tolist()) for s in cut.validation(most=12))
    assert "secret9 answer" in shown


def test_a_part_of_an_epoch_is_a_part_of_its_steps():
    """`epochs = 1.5` is one pass and half of the steps of another, in another order."""
    cut = windows([lesson(closed(f"p{n}", 40)) for n in range(20)], tokens=500)
    steps, whole = cut.plan(epochs=1.5, seed=0), cut.plan(epochs=1, seed=0)
    assert steps[: len(whole)] == whole
    assert abs(len(steps) - 1.5 * len(whole)) <= 2
    assert steps[len(whole) :] != whole[: len(steps) - len(whole)]


def test_the_plan_depends_on_the_seed_alone():
    """The same seed lays out the same run, another one another."""
    lessons = people(4, 15)
    assert windows(lessons).plan(epochs=2, seed=0) == windows(lessons).plan(epochs=2, seed=0)
    assert windows(lessons).plan(epochs=2, seed=0) != windows(lessons).plan(epochs=2, seed=1)


def test_order_is_kept_where_it_means_something_and_shuffled_where_it_does_not():
    """Ordered people are cut at other places in each epoch; others are asked in another order."""
    lessons = [lesson(closed("ada", 30)), lesson(closed("bob", 30), ordered=False)]
    cut = windows(lessons, tokens=300)
    epochs = [cut.plan(epochs=n, seed=0) for n in (1, 2)]
    first, second = epochs[0], epochs[1][len(epochs[0]) :]
    parts = {
        (number, which): {w.members for s in steps for w in s.windows if w.lesson == which}
        for number, steps in ((1, first), (2, second))
        for which in (0, 1)
    }
    for number in (1, 2):
        assert all(list(m) == list(range(m[0], m[-1] + 1)) for m in parts[number, 0])
        assert any(list(m) != sorted(m) for m in parts[number, 1])
    assert parts[1, 0] != parts[2, 0]
    assert parts[1, 1] != parts[2, 1]


def test_an_answer_is_learned_after_everything_that_the_window_shows_before_it():
    """The second of two answers sees the first one, and the options are not repeated."""
    cut = windows([lesson(closed("ada", 2))], tokens=1000)
    (step,) = cut.plan(epochs=1, seed=0)
    (one, two) = step.windows[0].members
    assert (one, two) == (0, 1)
    row = cut.batch(step).row
    (text,) = {letters(row.tokens[path].tolist()) for path in row.paths if path.size > 150}
    assert "I like rain 0.\nOptions: no | a little | yes\nno\nI like train 1.\n" in text
    assert letters(row.tokens.tolist()).count("Options") == 1


# ---------------------------------------------------------------------- what is measured


def test_half_of_what_is_measured_is_of_people_who_are_not_learned_from():
    """Later answers of those who are, later halves of those who are not; at most so many."""
    some = [lesson(closed(f"p{n}", 20), held=[f"p{n}-18", f"p{n}-19"]) for n in range(10)]
    rows = closed("new", 20)
    whole = lesson(rows, held=[one.key for one in rows])
    cut = windows([*some, whole], tokens=600)
    found = learned(cut.validation(most=16))
    assert [(n, p) for n, p in found if n == 10] == [(10, p) for p in range(12, 20)]
    assert {n for n, _ in found if n != 10} == {0, 5}
    assert {p for n, p in found if n != 10} == {18, 19}
    few = learned(cut.validation(most=2))
    assert [n for n, _ in few] == [10, 0]
    assert windows([lesson(closed("ada", 4))]).validation(most=8) == []


def test_what_is_measured_stands_apart_after_what_came_before():
    """Every held-out answer sees the same earlier ones, no other one, and no window is too big."""
    made = lesson(closed("ada", 40), held=[f"ada-{i}" for i in range(25, 40)])
    cut = windows([made], tokens=400)
    steps = cut.validation(most=15)
    shown = {w.members[: w.first] for step in steps for w in step.windows}
    assert len(shown) == 1
    (context,) = shown
    assert context == tuple(range(context[0], 25))
    assert sorted(learned(steps)) == [(0, place) for place in range(25, 40)]
    assert len(steps) > 1
    assert all(step.tokens <= 400 for step in steps)
    assert all(w.apart for step in steps for w in step.windows)
    for step in steps:
        check_step([made], cut, step, Letters(), TURNS)


@pytest.mark.parametrize("form", ["turns", "page"])
def test_what_is_measured_has_the_prompt_of_the_run_time(form):
    """Token for token `respond_prompt` over what is shown then, wherever that was taken from."""
    encoder, view = EngineEncoder(make_tokenizer()), HistoryConfig(form=form)
    rows, far = closed("ada", 20), closed("ada", 3, habit=1)
    made = lesson(rows, held=[f"ada-{i}" for i in (17, 18, 19)])

    def shown(_: PersonLesson, one: Interaction) -> list[Interaction]:
        return [*rows[:3], far[one.position % 3], rows[one.position - 12]]

    cut = Windows([made], encoder, view, window_tokens=600, max_tokens=2048, as_asked=shown)
    steps = cut.validation(most=3)
    assert sorted(learned(steps)) == [(0, 17), (0, 18), (0, 19)]
    found = {
        path.tobytes(): True
        for step in steps
        for row in [cut.batch(step).row]
        for path in [row.tokens[nodes] for nodes in row.paths]
    }
    for one in rows[17:]:
        prompt = encoder.prompt(
            respond_prompt("ada", one.question, shown(made, one), config=view), ""
        )
        for option in LIKING.options:
            tokens = [*prompt, *encoder.continuation(option, end=False)][:-1]
            assert np.array(tokens, dtype=np.int64).tobytes() in found
    assert sum(step.answers for step in steps) == 3
    plain = windows([made], encoder=encoder, history=view, tokens=600)
    assert cut.plan(epochs=2, seed=0) == plain.plan(epochs=2, seed=0)


def test_a_prompt_of_the_run_time_that_is_too_long_is_measured_after_the_past():
    """The measurement loses no answer to a long history; the others keep their prompts."""
    rows = closed("ada", 12)
    made = lesson(rows, held=["ada-10", "ada-11"])
    long = answered("ada-x", "q" * 390, "yes")

    def shown(_: PersonLesson, one: Interaction) -> list[Interaction]:
        return [long, long] if one.key == "ada-11" else [rows[0]]

    cut = Windows([made], Letters(), TURNS, window_tokens=400, max_tokens=500, as_asked=shown)
    found = [w for step in cut.validation(most=2) for w in step.windows]
    assert [(w.members[w.first :], w.shown) for w in found] == [
        ((10,), (rows[0],)),
        ((11,), None),
    ]
    assert all(path.size <= 500 for s in cut.validation(most=2) for path in cut.batch(s).row.paths)


def test_a_person_with_one_answer_can_be_learned_or_measured():
    """There is nothing to show before it, and that is no error."""
    only = closed("ada", 1)
    assert learned(windows([lesson(only)]).plan(epochs=1, seed=0)) == [(0, 0)]
    measured = windows([lesson(only, held=["ada-0"])])
    assert learned(measured.validation(most=5)) == [(0, 0)]
    assert measured.plan(epochs=1, seed=0) == []


# ---------------------------------------------------------------------- bad input


def test_what_is_too_long_is_refused_named_and_shown_nowhere():
    """One long interaction costs only itself, held out or not; the limit is exact."""
    rows = closed("ada", 6)
    fits = len(Letters().prompt(respond_prompt("ada", rows[0].question, [], config=TURNS), ""))
    longest = 600 - fits + len("I like rain 0.\nOptions: no | a little | yes")
    texts = {1: "q" * (longest - len("yes$")), 3: "q" * (longest - len("yes$") + 1), 5: "z" * 2000}
    for place, text in texts.items():
        rows[place] = answered(f"ada-{place}", text, "yes", place=place)
    made = lesson(rows, held=["ada-5"])
    cut = windows([made], tokens=1000, most=600)
    checked = cut.check()
    assert [(f.item, f.error) for f in checked.refused] == [
        ("ada-3", "ContextLengthError"),
        ("ada-5", "ContextLengthError"),
    ]
    assert "'ada-3' of user 'ada' has 601 tokens and the model takes 600" in (
        checked.refused[0].message
    )
    assert checked.learned == 4
    steps = cut.plan(epochs=1, seed=0)
    assert sorted(learned(steps)) == [(0, 0), (0, 1), (0, 2), (0, 4)]
    assert all(path.size <= 600 for s in steps for path in cut.batch(s).row.paths)
    assert cut.validation(most=4) == []


def test_no_sequence_is_longer_than_the_model_takes():
    """A window may be asked for that is longer: the model's own limit bounds it."""
    lessons = people(3, 25)
    cut = windows(lessons, encoder=EngineEncoder(make_tokenizer()), tokens=4096, most=512)
    for step in [*cut.plan(epochs=1, seed=0), *cut.validation(most=30)]:
        assert max(len(path) for path in cut.batch(step).row.paths) < 512


def test_options_of_which_one_begins_another_are_learned_with_their_end():
    """1 and 10 are told apart by the end of the turn, which past turns do not repeat."""
    scale = Scale(tuple(map(str, range(1, 11))))
    rows = [answered(f"k{i}", f"How much, {i}?", str(i + 1), place=i, space=scale) for i in (0, 9)]
    cut = windows([lesson(rows)], tokens=2000)
    (step,) = cut.plan(epochs=1, seed=0)
    batch = cut.batch(step)
    assert batch.options.shape == (2, 10)
    assert batch.truth.tolist() == [0, 9]
    assert (batch.target[[int((batch.term == t).nonzero()[0][-1]) for t in range(20)]] == 0).all()


def test_the_digest_sees_everything_that_is_learned_from():
    """Whatever would change the training changes the digest."""
    rows = closed("ada", 3)
    made = [
        [lesson(rows)],
        [lesson(rows[::-1])],
        [lesson(rows, held=["ada-2"])],
        [lesson(rows, ordered=False)],
        [lesson(rows, reasonings={"ada-1": "Late."})],
        [replace(lesson(rows, reasonings={"ada-1": "Late."}), after=True)],
        [lesson(rows, profile="A nurse.")],
        [lesson(rows), lesson(closed("bob", 3))],
    ]
    assert len({lessons_digest(one) for one in made}) == len(made)
    assert lessons_digest([lesson(rows)]) == lessons_digest([lesson(closed("ada", 3))])


# ---------------------------------------------------------------------- effort


@dataclass
class Counting(Letters):
    """Counts what is encoded."""

    prompts: int = 0
    texts: int = field(default=0)

    def prompt(self, messages, prefix):
        """Count the prompt's messages."""
        self.prompts += len(messages)
        return super().prompt(messages, prefix)

    def continuation(self, text, *, end):
        """Count the text."""
        self.texts += 1
        return super().continuation(text, end=end)


def test_laying_a_run_out_encodes_each_answer_a_few_times_and_no_history():
    """Twice the answers are twice the work, whatever the windows hold."""
    work = []
    for n in (50, 100):
        encoder = Counting()
        cut = windows([lesson(closed("ada", n))], encoder=encoder, tokens=100_000, most=200_000)
        cut.plan(epochs=3, seed=0)
        cut.check()
        work.append((encoder.prompts, encoder.texts))
    (few_prompts, few), (more_prompts, more) = work
    assert more_prompts == few_prompts < 20
    assert more < 2.1 * few
    assert few < 8 * 50


def test_a_window_renders_each_turn_once(monkeypatch: pytest.MonkeyPatch):
    """A question is looked at when it is asked and when it has become a past turn."""
    from usersim.prompts import requests

    seen: Counter[str] = Counter()
    plain = requests.view_question

    def counted(user_id, question, **more):
        seen[question.context[0].content] += 1
        return plain(user_id, question, **more)

    cut = windows([lesson(closed("ada", 60))], tokens=100_000)
    (step,) = cut.plan(epochs=1, seed=0)
    monkeypatch.setattr(requests, "view_question", counted)
    cut.batch(step)
    assert set(seen.values()) == {1}
    assert len(seen) == 60


def test_a_scale_is_a_scale():
    """The fixture's options are what the tests say they are."""
    assert LIKING.options == ("no", "a little", "yes")
