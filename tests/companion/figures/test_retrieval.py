"""What notebook 10's figures show: the numbers in the artists, not the pixels."""

import numpy as np
import pandas as pd
import pytest

from recq_lib.companion.figures import retrieval as plots
from recq_lib.companion.plotting import PALETTE, method_colour


def row(contender, milliseconds, at_once=64, part="search", items=1000, size=100):
    seconds = milliseconds / 1e3
    return {"part": part, "contender": contender, "median": seconds, "high": 1.5 * seconds, "p95": 2 * seconds,
            "at_once": at_once, "items": items, "bytes": size * items}  # fmt: skip


TOOK = {"recq": (8, 112), "recq, scores alone": (7, 112), "torch mm + topk, 256 floats": (40, 1024), "FAISS PQ, 4 bits": (2, 32)}
ROWS = [row(name, ms * (at_once / 64), at_once, size=size) for at_once in (64, 1) for name, (ms, size) in TOOK.items()]


def points(ax):
    return {(line.get_xdata()[0], line.get_color()) for line in ax.get_lines() if len(line.get_xdata()) == 1}


def title(ax):
    return ax.get_title(loc="left") or ax.get_title()


def test_cache_lines_are_as_many_as_the_bytes_fill():
    (ax,) = plots.cache_lines({"256 floats": (1024, "floats"), "signs": (108, "our codes")}).axes
    filled = [patch for patch in ax.patches if patch.get_facecolor()[:3] != pytest.approx((0.949, 0.949, 0.949), abs=0.01)]
    assert len(filled) == 16 + 2
    assert sum(patch.get_width() for patch in filled) / 0.88 == pytest.approx(1024 / 64 + 108 / 64)
    assert "9 times the bytes" in title(ax)


def test_words_tells_the_product_of_the_signs():
    rng = np.random.default_rng(1)
    user, items = rng.integers(0, 2, 16), rng.integers(0, 2, (8, 16))
    product = int(((2 * user - 1) * (2 * items[0] - 1)).sum())
    assert title(plots.words(user, items).axes[0]).endswith(f"= {product}")


def test_latency_has_every_contender_in_both_panels_and_says_who_is_first():
    fig = plots.latency(ROWS, 1000)
    for ax, factor in zip(fig.axes, (1, 1 / 64)):
        assert sorted(x for x, _ in points(ax)) == pytest.approx([ms * factor for ms in (2, 7, 8, 40)]) and ax.get_xscale() == "log"
    assert fig.axes[0].get_yticklabels()[-1].get_text() == "FAISS PQ, 4 bits"  # the fastest on top
    assert title(fig.axes[0]) == "64 users: PQ is 4.0× faster than our codes"


def test_growth_draws_a_line_a_contender():
    sizes = [(name, n, at_once) for at_once in (64, 1) for name in ("recq", "usearch b1") for n in (100, 1000)]
    rows = [row(name, n / 100, part="search growth", items=n, at_once=at_once) for name, n, at_once in sizes]
    fig = plots.growth(rows)
    for ax in fig.axes:
        assert {line.get_label() for line in ax.get_lines()} == {"recq codes, 3 × 256 bits", "usearch b1"}
        assert all(list(line.get_ydata()) == pytest.approx([1, 10]) for line in ax.get_lines())


def test_bytes_against_time_leaves_scores_alone_out():
    fig = plots.bytes_against_time(ROWS, 1000)
    assert {x for x, _ in points(fig.axes[0])} == {112, 1024, 32}
    assert title(fig.axes[0]).endswith("floats")  # 1024 bytes in 40 ms


def test_quality_joins_our_codes_and_names_who_keeps_99_percent_in_the_fewest_bytes():
    values = [("floats", 256, 0.20, 9), ("recq, 8 bits", 68, 0.2, 3), ("recq, 1 bit", 12, 0.1, 1), ("FAISS PQ, 8 × 8 bits", 8, 0.1, 1)]
    rows = [{"method": name, "bytes": size, "recall@20": recall, "milliseconds": ms} for name, size, recall, ms in values]
    fig = plots.quality(rows, "somewhere")
    joined = next(line for line in fig.axes[0].get_lines() if line.get_label() == "recq codes")
    assert list(joined.get_xdata()) == [12, 68] and joined.get_color() == PALETTE["orange"]
    assert title(fig.axes[0]) == "Fewest bytes for 99 % of floats: 68, recq codes"
    assert len(plots.quality([r | {"milliseconds": float("nan")} for r in rows], "somewhere").axes) == 1


def test_reranking_says_how_many_candidates_hold_nearly_all():
    (ax,) = plots.reranking(np.array([20, 100, 400]), {"codes": np.array([0.5, 0.992, 1.0])}, 20).axes
    assert title(ax) == "Bits alone find 50 %; 100 candidates hold 99 %"


def test_trade_off_draws_what_is_recorded_and_the_gain_of_the_fastest_that_keeps_enough():
    rows = [("lastfm", "full precision", 0, 3, 0.4, 20.0)]
    rows += [("lastfm", "HQ-GNN", b, 3, recall, ms) for b, recall, ms in ((1, 0.3, 1.0), (2, 0.39, 2.0), (4, 0.4, 4.0), (8, np.nan, 5.0))]
    table = pd.DataFrame(rows, columns=["dataset", "method", "bits", "seeds", "recall@50", "milliseconds"])
    (ax,) = plots.trade_off(table).axes
    assert title(ax) == "lastfm: 2 bits keep 98 % and answer 10.0× faster"
    codes = next(line for line in ax.get_lines() if line.get_label() == "HQ-GNN")
    assert list(codes.get_xdata()) == [1, 2, 4] and codes.get_color() == method_colour("hq-gnn")
