"""The plans that the pages and the repository show are plans, and every key is explained."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from usersim.research.study import SetPlan, cells_of, read_plan

ROOT = Path(__file__).parents[2]
PAGES = ("run-a-study", "replicate-the-paper")


@pytest.mark.parametrize("page", PAGES)
def test_the_plan_of_a_page_is_a_plan(page: str, tmp_path: Path) -> None:
    """Whoever copies the plan from the page can run it."""
    text = (ROOT / "docs" / "how-to" / f"{page}.md").read_text(encoding="utf-8")
    (shown,) = re.findall(r"^```yaml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    path = tmp_path / "plan.yaml"
    path.write_text(shown, encoding="utf-8")
    assert cells_of(read_plan(path))


def test_the_committed_plan_has_its_sizes_and_its_main_comparison() -> None:
    """It is the fourth plan: Recon-Select against Backward Synthesis on seven sets."""
    plan = read_plan(ROOT / "benchmarks" / "study.yaml")
    assert (plan.main.arm, plan.main.against) == ("recon_select", "backward")
    assert len(cells_of(plan)) == 15
    for size in ("quick", "gpu"):
        assert len(cells_of(plan, size=size)) == 15


def test_every_key_of_a_set_is_explained() -> None:
    """The table of the page has each setting by its name."""
    page = (ROOT / "docs" / "how-to" / "run-a-study.md").read_text(encoding="utf-8")
    told = {
        name
        for row in re.findall(r"^\| (`.+?) \|", page, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", row)
    }
    assert set(SetPlan.model_fields) <= told
