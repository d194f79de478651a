"""A continuation piece by piece: texts that join, gains that add up."""

from __future__ import annotations

import pytest

from tests.fixtures.tiny import make_tokenizer
from usersim.engines import ChatPrompt, Score
from usersim.engines.scripted import ScriptedEngine
from usersim.engines.texts import Texts
from usersim.engines.tokens import GainQuery, token_gains, token_texts
from usersim.errors import CapabilityError
from usersim.transcript import prefix

PROMPT: ChatPrompt = (("user", "How do you take your tea?"),)


class ByteEngine(ScriptedEngine):
    """Tells the tokens of a byte-level tokenizer."""

    def __init__(self) -> None:
        super().__init__()
        self._texts = Texts(make_tokenizer(), None)

    def count_tokens(self, text: str) -> int:
        """Count bytes and pairs."""
        return self._texts.count(text)

    def truncate(self, text: str, max_tokens: int) -> str:
        """Cut at a token."""
        return self._texts.truncate(text, max_tokens)


@pytest.mark.parametrize(
    "text", ["The train was late.", "naïve 東京 😀!", "a\ufffdb", "  x \n", "", "👩‍👩‍👧"]
)
def test_pieces_join_to_the_text_and_hold_every_token(text: str) -> None:
    """No character is lost or doubled, also where one is made of several tokens."""
    engine = ByteEngine()
    pieces = token_texts(engine, text)
    assert "".join(piece for piece, _ in pieces) == text
    assert sum(n for _, n in pieces) == engine.count_tokens(text)
    assert all(piece for piece, _ in pieces)


def test_gains_add_up_to_the_difference_of_the_means() -> None:
    """The mean over tokens is the mean log-probability with minus without, floor included."""
    engine = ScriptedEngine()
    query = GainQuery(
        prompt=PROMPT,
        continuation="With oat milk, always.",
        given=prefix("Oat milk is what there is."),
        without=prefix(""),
    )
    for floor in (float("-inf"), -2.5):
        (gains,) = token_gains(engine, [query], floor=floor)
        given, without = (
            Score(tuple(getattr(piece, side) for piece in gains.pieces)).mean()
            for side in ("given", "without")
        )
        assert gains.mean == pytest.approx(given - without)
        assert [piece.text for piece in gains.pieces][-1] == ""
        helped = {piece.text for piece in gains.pieces if piece.gain > 0}
        assert helped == {" oat", " milk", "."}


def test_an_engine_that_tells_other_tokens_than_it_scores_is_refused() -> None:
    """Nothing is colored by guesswork."""
    engine = ByteEngine()  # scores words, tells bytes
    query = GainQuery(prompt=PROMPT, continuation="tea", given=prefix("Tea."), without=prefix(""))
    with pytest.raises(CapabilityError, match="scored 2 tokens"):
        token_gains(engine, [query])
