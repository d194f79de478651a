"""Estimates for a population, each with an interval that says what it covers.

Three sources of doubt, distinguished by `covers`:

- `draws`: these very people, asked again. Each varies as their own draws do.
- `people`: other people like these, asked again. Resamples whole respondents with all their
  draws, so that it holds the doubt of `draws` too.
- `misfit`: as `people`, and the simulation is as far off as it was on items with human answers.

Only the last says anything about real people, and only as far as a new item is like those that
the misfit was measured on. Knows answer tables; knows nothing of surveys or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from usersim.errors import EvaluationError
from usersim.evaluation.bootstrap import FloatArray, Interval, Resampling, divide
from usersim.survey.estimates.proportions import share_interval
from usersim.survey.estimates.rectify import t_quantile
from usersim.survey.estimates.tables import AnswerTable, CountBy, Item
from usersim.survey.estimates.weights import effective_n
from usersim.types.counting import counted
from usersim.views import Sheet, printed

__all__ = ["LEAST_ITEMS", "Covers", "ItemEstimate", "Misfit", "estimate", "misfit", "split_half"]

Covers = Literal["draws", "people", "misfit"]
"""What an interval allows for."""
_COVERED = {
    "draws": "other draws of the same people",
    "people": "other people",
    "misfit": "other people, and a model as wrong as on other items",
}
LEAST_ITEMS = 5
"""Fewer items with human answers say too little of how wrong a simulation is on the next."""
_RESAMPLES = 2000
_ROUNDING = 1e-9
_ENDS = (0.025, 0.975)
_NOTHING = 1e-15
"""A variance below this is rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Misfit:
    """How far simulated figures were from human ones, on items with both.

    Attributes:
        shares: Root mean square gap of an option's share.
        means: That of the mean, as a share of the scale's length; NaN without such items.
        n_items: Items behind `shares`.
        n_scales: Items behind `means`.

    Example:
        >>> from usersim.survey.estimates.tables import Item
        >>> items = [Item(key=key, options=("no", "yes"), ordered=False) for key in "abcde"]
        >>> said = {"yes": [dict.fromkeys("abcde", "yes")], "no": [dict.fromkeys("abcde", "no")]}
        >>> human = AnswerTable.of(items, {"ada": said["yes"], "bob": said["no"]})
        >>> simulated = AnswerTable.of(items, {"ada": said["yes"], "bob": said["yes"]})
        >>> found = misfit(human, simulated)
        >>> found.shares, found.n_items
        (0.5, 5)
    """

    shares: float
    means: float
    n_items: int
    n_scales: int


def _sheet(one: ItemEstimate) -> Sheet:
    figures = list(zip(one.options, one.shares, strict=True))
    if one.mean is not None:
        figures.append(("mean", one.mean))
    n = f"{one.n} respondents" + (
        "" if one.effective_n == one.n else f", as many as {one.effective_n:.1f} without weights"
    )
    notes = [f"95 % intervals allow for {_COVERED[one.covers]}; {n}"]
    if one.simulated:
        notes.append("simulated: a model's answers, not people's")
    return Sheet(
        title=one.item,
        columns=("answer", "share", "low", "high"),
        rows=[(name, figure.value, figure.low, figure.high) for name, figure in figures],
        notes=notes,
    )


@printed(_sheet)
@dataclass(frozen=True, slots=True, kw_only=True)
class ItemEstimate:
    """What a population answers to one item.

    Attributes:
        item: Its key.
        options: Labels, in order; empty for a number.
        shares: Share of each option.
        mean: Of a number or of the points of a scale; None for options without an order.
        n: Respondents who answered.
        effective_n: What weights leave of them.
        covers: What the intervals allow for.
        simulated: Whether a model answered.

    Example:
        >>> from usersim.survey.estimates.tables import Item
        >>> tea = Item(key="tea", options=("no", "yes"), ordered=False)
        >>> answers = {f"p{i}": [{"tea": "yes" if i % 4 else "no"}] for i in range(40)}
        >>> found = estimate(AnswerTable.of([tea], answers), "tea")
        >>> yes = found.shares[found.options.index("yes")]
        >>> yes.value, yes.low < 0.75 < yes.high, found.mean
        (0.75, True, None)
    """

    item: str
    options: tuple[str, ...]
    shares: tuple[Interval, ...]
    mean: Interval | None
    n: int
    effective_n: float
    covers: Covers
    simulated: bool


def estimate(
    table: AnswerTable,
    key: str,
    *,
    covers: Covers = "people",
    by: CountBy = "answers",
    gaps: Misfit | None = None,
    seed: int = 0,
) -> ItemEstimate:
    """Return the weighted shares and mean of one item, with 95 % intervals.

    Args:
        table: Who answered what.
        key: The item.
        covers: What the intervals allow for.
        by: Counted answers, or the options' probabilities; `covers="draws"` counts answers,
            since probabilities do not differ from draw to draw.
        gaps: Measured misfit, for `covers="misfit"`.
        seed: Of the resamples.

    Returns:
        The estimate.

    Raises:
        EvaluationError: If nobody answered, if `covers` needs more draws or a misfit, or if the
            misfit was measured on no item of this kind.

    Example:
        >>> from usersim.survey.estimates.tables import Item
        >>> tea = Item(key="tea", options=("no", "yes"), ordered=False)
        >>> answers = {f"p{i}": [{"tea": "yes" if i % 4 else "no"}] for i in range(40)}
        >>> found = estimate(AnswerTable.of([tea], answers), "tea")
        >>> found.shares[1].value, found.n
        (0.75, 40)
    """
    item = table.item(key)
    spread = _spread(item, covers, gaps)
    every = _rows(table, key, "answers" if covers == "draws" else by)
    told = np.isfinite(every).all(axis=(0, 2))  # by probabilities, only who has some
    if not told.any():
        raise EvaluationError(f"nobody answered item {key!r}")
    rng = np.random.default_rng(seed)
    rows = every[:, told]
    own = table.weights[told]
    value = own @ rows.mean(axis=0) / own.sum()
    drawn = _redrawn(rows, own, rng) if covers == "draws" else _resampled(rows, own, seed)
    drawn = drawn + spread * rng.standard_t(max(gaps.n_items if gaps else 1, 1), drawn.shape)
    intervals = [
        Interval(float(v), *(float(end) for end in np.quantile(drawn[:, k], _ENDS)))
        for k, v in enumerate(value)
    ]
    size = len(item.options)
    others = 1 - share_interval(1.0, effective_n(own) * len(rows)).low
    shares = [_inside(_wide(one, 0.0, 1.0, others)) for one in intervals[:size]]
    if by == "answers":
        reach = spread * t_quantile(gaps.n_items) if gaps else spread
        exact = _exact(rows[:, :, :size], own, covers, shares)
        shares = [_wider(one, float(reach[k])) for k, one in enumerate(exact)]
    return ItemEstimate(
        item=key,
        options=item.options,
        shares=tuple(shares),
        mean=_mean(intervals[-1], item, others) if item.scaled else None,
        n=int(told.sum()),
        effective_n=effective_n(own),
        covers=covers,
        simulated=table.simulated,
    )


def misfit(human: AnswerTable, simulated: AnswerTable, *, by: CountBy = "answers") -> Misfit:
    """Return how far simulated shares and means were off on the items that both tables hold.

    The humans' own sampling noise is part of it, so that intervals are rather too wide.

    Args:
        human: What people answered.
        simulated: What their simulation answered.
        by: How simulated answers are counted.

    Returns:
        The root mean square gaps.

    Raises:
        EvaluationError: If fewer than `LEAST_ITEMS` items with options are shared.
    """
    shares: list[float] = []
    means: list[float] = []
    held = {item.key for item in simulated.items}
    for item in human.items:
        if item.key not in held or not item.options:
            continue
        gap = simulated.shares(item.key, by=by) - human.shares(item.key)
        if not np.isfinite(gap).all():
            continue
        shares.append(float((gap**2).mean()))
        if item.ordered:
            means.append(float((gap @ item.points / item.length) ** 2))
    if len(shares) < LEAST_ITEMS:
        raise EvaluationError(
            f"{counted(len(shares), 'item')} with both human and simulated answers; a misfit needs "
            f"{LEAST_ITEMS}",
            hint="add human answers to further items of the same kind",
        )
    return Misfit(
        shares=float(np.sqrt(np.mean(shares))),
        means=float(np.sqrt(np.mean(means))) if means else float("nan"),
        n_items=len(shares),
        n_scales=len(means),
    )


def split_half(table: AnswerTable, *, seed: int = 0) -> tuple[AnswerTable, AnswerTable]:
    """Return two random halves of the respondents; the first has one more where n is odd.

    Raises:
        EvaluationError: If there are fewer than two respondents.
    """
    n = len(table.respondents)
    if n < 2:  # noqa: PLR2004 - one person has no halves
        raise EvaluationError(f"{n} respondents cannot be halved")
    order = [int(i) for i in np.random.default_rng(seed).permutation(n)]
    first, second = sorted(order[: (n + 1) // 2]), sorted(order[(n + 1) // 2 :])
    return (
        table.keep([table.respondents[i] for i in first]),
        table.keep([table.respondents[i] for i in second]),
    )


def _rows(table: AnswerTable, key: str, by: CountBy) -> FloatArray:
    """Return shares of the options and last the value, of each draw and respondent.

    A draw that is missing beside others counts as their mean. Shape `(draws, n, K + 1)`.
    """
    item = table.item(key)
    size = len(item.options)
    values = table.draws(key)
    if by == "probabilities" and key in table.probabilities:
        mass = table.probabilities[key][None]
        rows = np.concatenate([mass, (mass @ item.points)[..., None]], axis=2)
    else:
        hits = (values[:, :, None] == np.arange(size)).astype(np.float64)
        number = hits @ item.points if size else values
        rows = np.concatenate([hits, number[..., None]], axis=2)
        rows[~np.isfinite(values)] = np.nan
    told = np.isfinite(rows)
    count = told.sum(axis=0)
    total = np.where(told, rows, 0.0).sum(axis=0)
    filler = divide(total, count.astype(np.float64))
    return np.where(told, rows, filler)


def _resampled(rows: FloatArray, weights: FloatArray, seed: int) -> FloatArray:
    """Return the weighted means in resamples of respondents. Shape `(b, K + 1)`."""
    names = [str(i) for i in range(rows.shape[1])]
    drawn = Resampling.of(names, names, resamples=_RESAMPLES, seed=seed).weights * weights
    return drawn @ rows.mean(axis=0) / drawn.sum(axis=1, keepdims=True)


def _redrawn(rows: FloatArray, weights: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Return the weighted means under other draws of the same respondents. Shape `(b, K + 1)`.

    By the normal approximation, each respondent's draws varying as their own do.

    Raises:
        EvaluationError: If there is one draw only.
    """
    draws, _, size = rows.shape
    if draws < 2:  # noqa: PLR2004 - one draw does not vary
        raise EvaluationError(
            "the variation between draws cannot be estimated from one draw per respondent",
            hint="simulate the survey with several seeds and pass all the results",
        )
    own = weights / weights.sum()
    spread = np.sqrt((own**2) @ rows.var(axis=0, ddof=1) / draws)
    return own @ rows.mean(axis=0) + spread * rng.standard_normal((_RESAMPLES, size))


def _spread(item: Item, covers: Covers, gaps: Misfit | None) -> FloatArray:
    """Return the misfit of each share and last of the mean. Shape `(K + 1,)`.

    Raises:
        EvaluationError: If it is needed and not known.
    """
    size = len(item.options)
    if covers != "misfit":
        return np.zeros(size + 1)
    if gaps is None:
        raise EvaluationError(
            "an interval that covers misfit needs measured misfits",
            hint="pass gaps=misfit(human, simulated), measured on items with human answers",
            cli_hint="pass --human FILE, from which they are measured, or another --covers",
        )
    if not item.options or (item.ordered and gaps.n_scales < LEAST_ITEMS):
        raise EvaluationError(
            f"the misfit of item {item.key!r} is unknown: it was measured on {gaps.n_items} "
            f"items with options, {gaps.n_scales} of them with a mean",
            hint=f"measure it on {LEAST_ITEMS} items of the same kind",
        )
    return np.array([gaps.shares] * size + [gaps.means * item.length if item.ordered else 0.0])


def _exact(
    rows: FloatArray, weights: FloatArray, covers: Covers, shares: Sequence[Interval]
) -> list[Interval]:
    """Return the shares of counted answers, each as of the number of answers it is worth.

    A share p with variance v is worth p (1 - p) / v answers. Where v is 0, since all answers are
    alike, it is worth every draw of everybody that weights leave.

    Args:
        rows: 1 for the option chosen, else 0. Shape `(draws, n, K)`.
        weights: Of the respondents. Shape `(n,)`.
        covers: What the intervals allow for.
        shares: The same shares, with other intervals.
    """
    draws, n, _ = rows.shape
    own = weights / weights.sum()
    means = rows.mean(axis=0)
    value = np.array([one.value for one in shares])
    if covers == "draws":
        variance = (own**2) @ rows.var(axis=0, ddof=1) / draws
    else:
        variance = (own**2) @ (means - value) ** 2 * n / max(n - 1, 1)
    all_alike = effective_n(weights) * draws
    found: list[Interval] = []
    for p, v in zip(value, variance, strict=True):
        worth = float(p * (1 - p) / v) if v > _NOTHING else all_alike
        found.append(share_interval(float(p), worth))
    return found


def _wider(one: Interval, reach: float) -> Interval:
    """Return an interval that also allows for an independent error of so much, on either side.

    Source: Zou and Donner, Construction of confidence limits about effect measures, 2008 (MOVER).
    """
    low = one.value - float(np.hypot(one.value - one.low, reach))
    high = one.value + float(np.hypot(one.high - one.value, reach))
    return _inside(Interval(one.value, low, high))


def _mean(one: Interval, item: Item, others: float) -> Interval:
    if not item.ordered:
        return one
    return _wide(one, float(item.points[0]), float(item.points[-1]), others)


def _wide(one: Interval, first: float, last: float, others: float) -> Interval:
    """Return an interval with a width where all people are alike.

    So many people do not rule out that a share `others` of the population is at either of the
    ends `first` and `last`.
    """
    # Resamples of people who said the same differ by what weights leave to rounding.
    if one.high - one.low > _ROUNDING * (last - first):
        return one
    return Interval(
        one.value,
        one.value - others * (one.value - first),
        one.value + others * (last - one.value),
    )


def _inside(one: Interval) -> Interval:
    return Interval(one.value, max(one.low, 0.0), min(one.high, 1.0))
