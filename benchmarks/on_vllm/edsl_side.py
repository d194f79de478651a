"""The half of `bench_edsl.py` that runs in EDSL's environment: a survey by EDSL's own runner.

Reads JSON from standard input: the server's URL, the model, people with what is known of them,
and whether EDSL asks for its usual comment on each answer. Prints JSON: seconds of the run alone,
answers, and how many of them are valid.
"""

from __future__ import annotations

import json
import os
import sys
import time


def main() -> None:
    """Run the survey once."""
    given = json.load(sys.stdin)
    os.environ["OPENAI_COMPATIBLE_BASE_URL"] = given["base_url"]
    os.environ["OPENAI_COMPATIBLE_API_KEY"] = "unused"
    # EDSL's own limits of requests and tokens a minute, meant for paid services, stay out of it.
    os.environ["EDSL_SERVICE_RPM_OPENAI_COMPATIBLE"] = "1000000"
    os.environ["EDSL_SERVICE_TPM_OPENAI_COMPATIBLE"] = "1000000000"
    import openai  # noqa: F401 - EDSL imports it in the middle of a run
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
    how = {} if given["comments"] else {"include_comment": False}
    survey = Survey(
        [
            QuestionMultipleChoice("drink", "Which drink do you take?", drinks, **how),
            QuestionLinearScale(
                "likely", "How likely are you to come back?", [1, 2, 3, 4, 5], **how
            ),
            QuestionYesNo("garden", "Do you have a garden?", **how),
            QuestionCheckBox("offers", "Which should we offer?", drinks, min_selections=1, **how),
            QuestionNumerical("cups", "How many cups a day?", min_value=0, max_value=200, **how),
            QuestionLikertFive("agree", "The garden is worth its work.", **how),
        ]
    )
    agents = [
        Agent(name=name, traits={"earlier_answers": past}) for name, past in given["people"].items()
    ]
    alone = {
        "disable_remote_inference": True,
        "disable_remote_cache": True,
        "cache": False,
        "progress_bar": False,
        "print_exceptions": False,
    }
    survey.by(Agent()).by(Model("test")).run(**alone)  # what the first run of a process does once
    model = Model(given["model"], service_name="openai_compatible")
    jobs = survey.by(agents).by(model)
    started = time.perf_counter()
    results = jobs.run(**alone)
    seconds = time.perf_counter() - started
    cells = [one["answer"][name] for one in results for name in survey.question_names]
    valid = sum(cell is not None for cell in cells)
    print(json.dumps({"seconds": seconds, "answers": len(cells), "valid": valid}))


if __name__ == "__main__":
    main()
