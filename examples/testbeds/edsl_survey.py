"""EDSL: a survey of six question types, put to everybody whom the endpoint serves.

    usersim serve -c people.usersim.db                                 # in one terminal
    python examples/testbeds/edsl_survey.py http://127.0.0.1:8000/v1

Needs: pip install edsl openai. Each person is a model; what EDSL writes into the prompt, options
and instruction, is recognized and scored (see the how-to page on serving users). Prints the
answers as JSON, person by person.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request


def main(base_url: str) -> None:
    """Ask everybody, each as a model of their own."""
    os.environ["OPENAI_COMPATIBLE_BASE_URL"] = base_url
    os.environ.setdefault("OPENAI_COMPATIBLE_API_KEY", "unused")
    with urllib.request.urlopen(f"{base_url}/models") as reply:  # noqa: S310 - the server named
        people = [model["id"] for model in json.load(reply)["data"]]

    from edsl import Agent, Model, Survey
    from edsl.questions import (
        QuestionCheckBox,
        QuestionLikertFive,
        QuestionLinearScale,
        QuestionMultipleChoice,
        QuestionNumerical,
        QuestionYesNo,
    )

    drinks = ["tea", "coffee", "water"]
    survey = Survey(
        [
            QuestionMultipleChoice("drink", "Which drink do you take?", drinks),
            QuestionLinearScale("likely", "How likely are you to come back?", [1, 2, 3, 4, 5]),
            QuestionYesNo("garden", "Do you have a garden?"),
            QuestionCheckBox("offers", "Which should we offer?", drinks, min_selections=1),
            QuestionNumerical("cups", "How many cups a day?", min_value=0, max_value=200),
            QuestionLikertFive("agree", "The garden is worth its work."),
        ]
    )
    models = [Model(person, service_name="openai_compatible") for person in people]
    results = (
        survey.by(Agent())
        .by(models)
        .run(
            disable_remote_inference=True,
            disable_remote_cache=True,
            cache=False,
            progress_bar=False,
        )
    )
    for result in results:
        answers = {name: result["answer"][name] for name in survey.question_names}
        print(json.dumps({"person": result["model"].model, **answers}))


if __name__ == "__main__":
    main(sys.argv[1])
