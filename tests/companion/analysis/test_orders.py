"""Orders crossed with seeds: closed forms, what has to be left out, and the words."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from recq_lib.companion.analysis import orders, weighting
from recq_lib.companion.analysis.orders import by_setting, complete, crossed, differences, in_words, spread
from recq_lib.errors import ConfigError

T4 = 2.7764451051977987  # Student's 97.5 % point with four degrees of freedom


def frame(*settings: tuple[str, np.ndarray], first: int = 2025) -> pd.DataFrame:
    """Rows as `runs_table` gives them, of settings (name, values [orders, seeds] as fractions)."""
    rows = [
        (name + (f", order {first + o}" if o else ""), "baco", first + o, seed, value)
        for name, values in settings for o, line in enumerate(values) for seed, value in enumerate(line) if not np.isnan(value)
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=["name", "method", "order", "seed", "value"])


def test_sums_of_orders_and_seeds_have_no_rest():
    """Orders -2 … 2 and seeds -3 0 3 around 20: variances 2.5 and 9; the mean lies within 20 ± t·√(2.5 / 5)."""
    found = spread(20 + np.arange(-2, 3)[:, None] + 3.0 * np.arange(-1, 2))
    assert (found.orders, found.seeds, found.rest) == pytest.approx((2.5**0.5, 3, 0), abs=1e-9)
    assert found.interval.mean == pytest.approx(20) and found.n_seeds == 3 and found.interval.n == 5
    assert [found.interval.low, found.interval.high] == pytest.approx([20 - T4 * 0.5**0.5, 20 + T4 * 0.5**0.5])


def test_a_chess_board_is_all_rest():
    """±1 in turns: all means are equal, the four squares sum to 4 with one degree of freedom, and the variances of effects fall below 0."""
    found = spread(np.array([[6.0, 4.0], [4.0, 6.0]]))
    assert (found.orders, found.seeds, found.rest) == (0, 0, 2) and found.interval.low == found.interval.high == 5


def test_a_table_worked_out_by_hand():
    """1 2 | 3 8: order means 1.5 and 5.5, seed means 2 and 5, rests ±1, so MS_rest = 4; orders 8 - 2, seeds 4.5 - 2."""
    found = spread(np.array([[1.0, 2.0], [3.0, 8.0]]))
    assert (found.orders, found.seeds, found.rest) == pytest.approx((6**0.5, 2.5**0.5, 2))


def test_spreads_that_were_put_in_are_found(rng):
    seeds = 0.5 * rng.normal(size=(4000, 1, 3))
    many = 3 * rng.normal(size=(4000, 5, 1)) + seeds + rng.normal(size=(4000, 5, 3))
    found = [spread(values) for values in many]
    assert np.mean([one.rest**2 for one in found]) == pytest.approx(1, rel=0.05)
    assert np.mean([one.orders**2 for one in found]) == pytest.approx(9, rel=0.05)
    # orders have mean 0; the seeds are those of all orders, so theirs is what the interval is around
    inside = [one.interval.low <= mean <= one.interval.high for one, mean in zip(found, seeds.mean(axis=(1, 2)), strict=True)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.012)


@pytest.mark.parametrize("values", [np.ones((1, 3)), np.ones((3, 1))])
def test_with_one_order_or_one_seed_spreads_cannot_be_told_apart(values):
    found = spread(values)
    assert np.isnan([found.orders, found.seeds, found.rest]).all() and found.interval.mean == 1
    assert np.isnan(found.interval.low) == (len(values) == 1)


@pytest.mark.parametrize("values", [np.ones(3), np.ones((0, 2)), np.array([[1.0, np.nan]])])
def test_values_are_checked(values):
    with pytest.raises(ConfigError, match="one for every order with every seed"):
        spread(values)


# ---- settings ------------------------------------------------------------------------------------------------------------------


def test_settings_are_named_without_their_order():
    values = np.arange(6.0).reshape(3, 2) / 100
    table = frame(("a / b", values), ("a / b, 3 sweeps", values[::-1]))
    full = pd.DataFrame([("full table", "lightgcn", None, 0, 0.5)], columns=table.columns)
    cells = crossed(pd.concat([full, table]))
    assert list(cells) == ["a / b", "a / b, 3 sweeps"]
    assert cells["a / b"].index.tolist() == [2025, 2026, 2027] and cells["a / b"].columns.tolist() == [0, 1]
    np.testing.assert_allclose(cells["a / b, 3 sweeps"].to_numpy(), 100 * values[::-1])


def test_the_names_are_those_of_the_ablation():
    given = {f"option.{name}": value for name, value in {"user_weight": "log", "item_weight": "log", "scu": True, "ghost": True}.items()}
    given |= {"option.sweeps": 5, "option.ratio": weighting.SIZE}
    usual, other = (weighting.setting_name("baco", given | {"option.cluster_seed": seed}) for seed in (2025, 7))
    assert (usual, other) == ("log / log", "log / log, order 7")


def test_the_largest_complete_part_is_kept_and_the_rest_counted():
    holes = np.array([[1, 2, np.nan, 4], [1, 2, 3, np.nan], [1, 2, np.nan, np.nan], [np.nan, 2, np.nan, np.nan]]) / 100
    cell = crossed(frame(("s", holes)))["s"]
    part = complete(cell)
    assert part.shape == (3, 2) and part.columns.tolist() == [0, 1] and part.index.tolist() == [2025, 2026, 2027]
    assert by_setting({"s": cell}).loc[0, ["orders", "seeds", "left out"]].tolist() == [3, 2, 3]


def test_by_setting_has_the_interval_over_orders_and_the_place_of_the_usual_order():
    values = (20 + np.array([2.0, 0, -1, 1, -2])[:, None] + 3.0 * np.arange(-1, 2)) / 100
    row = by_setting(crossed(frame(("s", values)))).iloc[0]
    assert row[["value, %", "low", "high"]].tolist() == pytest.approx([20, 20 - T4 * 0.5**0.5, 20 + T4 * 0.5**0.5])
    assert row[["sd orders", "sd seeds", "sd rest"]].tolist() == pytest.approx([2.5**0.5, 3, 0], abs=1e-6) and row["usual"] == 1
    assert by_setting(crossed(frame(("s", values[::-1]))))["usual"].item() == 5
    assert by_setting(crossed(frame(("s", values), first=1)))["usual"].isna().all()


def test_differences_are_taken_run_by_run():
    """a - b is 1 ± 0 in every run although both vary: the interval has no width. Against c every order brings another difference."""
    base = (20 + np.array([2.0, 0, -1, 1, -2])[:, None] + 3.0 * np.arange(-1, 2)) / 100
    flat = np.full((5, 3), 0.2)
    cells = crossed(frame(("a", base + 0.01), ("b", base), ("c", flat)))
    found = differences(cells, [("a", "b"), ("a", "c"), ("a", "missing")]).set_index("b")
    assert found.index.tolist() == ["b", "c"]
    assert found.loc["b", ["difference", "low", "high", "sd orders"]].tolist() == pytest.approx([1, 1, 1, 0], abs=1e-9)
    assert found.loc["c", ["difference", "low", "high"]].tolist() == pytest.approx([1, 1 - T4 * 0.5**0.5, 1 + T4 * 0.5**0.5])
    assert found["ahead"].tolist() == ["5/5", "3/5"]  # order means 3 1 0 2 -1


def test_differences_count_what_has_no_like():
    base = np.arange(15.0).reshape(5, 3) / 100
    less = base.copy()
    less[4, 2] = np.nan
    found = differences(crossed(frame(("a", base), ("b", less))), [("a", "b")]).iloc[0]
    assert found[["orders", "seeds"]].tolist() == [4, 3] and found["left out"] == 15 + 14 - 24
    apart = pd.concat([frame(("a", base)), frame(("b", base), first=1)])
    assert differences(crossed(apart), [("a", "b")]).empty


# ---- words ---------------------------------------------------------------------------------------------------------------------


def test_in_words():
    values = (20 + np.array([2.0, 0, -1, 1, -2])[:, None] + 3.0 * np.arange(-1, 2)) / 100
    said = in_words(by_setting(crossed(frame(("s", values), ("t", values[::-1])))))
    assert said == (
        "Over 2 settings a run varies by 1.58 points with the order of visits, 3.00 with the seed, 0.00 beyond (standard deviations); "
        "order 2025 is the best of its orders in 1 of 2."
    )
    one_order = by_setting(crossed(frame(("s", values), ("u", values[:1]))))
    assert one_order["orders"].tolist() == [5, 1] and in_words(one_order).startswith("Over 1 setting a run")
    assert "nothing can be said" in in_words(by_setting(crossed(frame(("s", values[:, :1])))))
    assert orders.USUAL["order"] == 2025
