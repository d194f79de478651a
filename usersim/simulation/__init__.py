"""Answer as a person would: one response, many, or piece by piece."""

from usersim.simulation.answer import Answer, AnswerTrace, DrawnTrace, Influence, to_frame
from usersim.simulation.items import RespondItem, most_drawn_tokens
from usersim.simulation.predict import Likelihoods, likelihoods, predict, prediction
from usersim.simulation.reasoning import derive_seed
from usersim.simulation.respond import respond
from usersim.simulation.streaming import Piece, stream_answer

__all__ = [
    "Answer",
    "AnswerTrace",
    "DrawnTrace",
    "Influence",
    "Likelihoods",
    "Piece",
    "RespondItem",
    "derive_seed",
    "likelihoods",
    "most_drawn_tokens",
    "predict",
    "prediction",
    "respond",
    "stream_answer",
    "to_frame",
]
