"""Pages made from the code say everything that the code has."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
import yaml

from usersim.corpus.readers import codebook as codebooks
from usersim.corpus.store.spaces import LIMITS
from usersim.survey import Survey
from usersim.survey.files.codebooks import codebook_of
from usersim.survey.questions import SurveyQuestion

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference" / "instruments.md"
TYPES = get_args(get_args(SurveyQuestion)[0])


@pytest.fixture(scope="module")
def hooks() -> ModuleType:
    """What fills the pages."""
    spec = importlib.util.spec_from_file_location("docs_hooks", ROOT / "docs" / "hooks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("model", TYPES, ids=lambda model: model.__name__)
def test_every_field_of_every_question_type_is_documented(hooks: ModuleType, model) -> None:  # type: ignore[no-untyped-def]
    """Each type has a section with its own fields, and each field has a meaning."""
    page = hooks.on_page_markdown(PAGE.read_text(encoding="utf-8"))
    name = model.model_fields["type"].default
    section = page.partition(f"### `{name}`\n")[2].partition("\n### ")[0]
    shared = page.partition("### Every type\n")[2].partition("\n### ")[0]
    for field in model.model_fields:
        if field != "type":
            row = re.search(rf"^\| `{field}` \| .+ \| \S.+ \|$", section + shared, re.MULTILINE)
            assert row is not None, f"{name}: {field}"


def test_every_field_of_a_codebook_is_documented() -> None:
    """Fields, kinds and roles that the reader knows stand on the page, and no others."""
    section = PAGE.read_text(encoding="utf-8").partition("## Codebook")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| (`.+?`) \| (.+) \|$", section, re.MULTILINE))
    named = {name for cell in rows for name in re.findall(r"`(\w+)`", cell)}
    read = set(re.findall(r'fields\.get\("(\w+)"', inspect.getsource(codebooks)))
    assert named == {"column", *read, *codebooks._CODES, *LIMITS}
    for kind in (*codebooks._KINDS, *codebooks._ROLES):
        assert f"`{kind}`" in rows["`kind`"]


def test_the_matrix_of_the_page_is_the_codebook_of_the_page() -> None:
    """The example is what the code makes of it."""
    page = PAGE.read_text(encoding="utf-8")
    question = yaml.safe_load(re.search(r"```yaml\n(.+?)```", page, re.DOTALL)[1])
    shown = json.loads(re.search(r"```json\n(.+?)```", page, re.DOTALL)[1])
    survey = Survey.model_validate({"title": "T", "questions": [question]})
    made = {name: dict(entry) for name, entry in codebook_of(survey).items()}
    assert {name: made[name] for name in shown} == shown
    assert set(made) - set(shown) == {"respondent", "timestamp"}
    unordered = Survey.model_validate({"title": "T", "questions": [{**question, "ordered": False}]})
    assert codebook_of(unordered)["views_1"]["kind"] == "choice"
