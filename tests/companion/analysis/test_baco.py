"""BACO beside other ways to share rows and beside its paper's Table 8, from records made by hand."""

import numpy as np
import pytest
from helpers import baco_record

from recq_lib.companion import published
from recq_lib.companion.analysis import baco as tables
from recq_lib.companion.plotting import PALETTE, method_colour
from recq_lib.config import protocol
from recq_lib.runs import store as results


def test_names_tell_variants_apart():
    names = [tables.name_of(baco_record(method)) for method in ("lightgcn", "graphhash", "random-hash", "baco")]
    assert names == ["full table", "GraphHash", "Random", "BACO"]
    assert tables.name_of(baco_record("baco", scu=False)) == "BACO without SCU"
    assert tables.title_of("nobody") == "nobody"


def test_ways_to_share_have_different_colours():
    names = ("BACO", "GraphHash", "Leiden", "random", "full table", "SCC")
    assert len({method_colour(name) for name in names}) == len(names)
    assert method_colour("BACO without SCU") == method_colour("baco") == PALETTE["pink"]


def test_beside_rows_take_records_of_the_papers_protocol_only():
    chosen = [baco_record("baco", s, recall=0.06 + 0.01 * s, gamma=0.1308) for s in (0, 1)]
    chosen += [baco_record("random-hash", recall=0.03), baco_record("leiden", recall=0.05, resolution=200.5)]
    others = [
        baco_record("baco", 2, recall=0.9, scu=False),
        baco_record("baco", 3, recall=0.9, ratio=0.1),
        baco_record("lightgcn", recall=0.9, config=protocol("baco", lr=0.01)),
        baco_record("scc", recall=0.9, dataset="lastfm"),
    ]
    table = tables.beside_rows(chosen + others, "beauty", "recall_min@10").set_index("method")
    assert len(table) == 20 and table["published"].notna().all()
    assert table.loc["baco", ["ours", "seeds"]].tolist() == [pytest.approx(6.5), 2]
    assert table.loc["baco", "half_width"] == pytest.approx(12.706205 * 0.5, rel=1e-5)  # Student's t with one degree of freedom
    assert table.loc["baco", "published"] == published.value(paper="baco", dataset="beauty", method="baco", metric="recall_min@10")
    assert table.loc["random", "ours"] == pytest.approx(3) and table.loc["leiden", "ours"] == pytest.approx(5)
    assert table.loc["baco", "difference"] == pytest.approx(6.5 - table.loc["baco", "published"])
    missing = table.loc[["lightgcn", "scc"]]
    assert missing["ours"].isna().all() and (missing["seeds"] == 0).all()


def test_beside_rows_take_our_split_of_the_same_data_and_other_protocols_on_request():
    large = protocol("baco", lr=0.01, batch_size=16384)
    records = [
        baco_record("baco", recall=0.11, dataset="gowalla-resplit"),
        baco_record("scc", recall=0.10, dataset="gowalla-resplit", config=large),
        baco_record("scc", recall=0.90, dataset="yelp2018-resplit", config=large),
    ]
    strict = tables.beside_rows(records, "gowalla", "recall_min@10").set_index("method")["ours"].dropna()
    assert strict.to_dict() == {"baco": pytest.approx(11)}
    free = tables.beside_rows(records, "gowalla", "recall_min@10", any_protocol=True).set_index("method")["ours"].dropna()
    assert free.to_dict() == {"baco": pytest.approx(11), "scc": pytest.approx(10)}


def test_side_by_side_says_what_was_not_run():
    table = tables.beside_rows([baco_record("baco", s, recall=0.06, gamma=0.1308) for s in (0, 1)], "beauty", "recall_min@10")
    shown = tables.side_by_side({"recall_min@10": table}, ("recall_min@10",)).set_index("method")
    paper = published.value(paper="baco", dataset="beauty", method="baco", metric="recall_min@10")
    assert shown.loc["BACO"].tolist() == ["2", paper, "6.00 ± 0.00", f"{6 - paper:+.2f}"]
    assert shown.loc["SCC", ["R@10 ours", "R@10 diff."]].tolist() == ["not run", "–"]


def test_distance_in_words_compares_the_numbers_both_have():
    table = tables.beside_rows([], "beauty", "recall_min@10")
    assert tables.distance_in_words(table) == "0 of 20 methods have both numbers, too few to compare orders"
    ours = table.assign(ours=table["published"] + np.where(table.index == 2, -3.0, 1.0))
    said = tables.distance_in_words(ours.assign(difference=ours["ours"] - ours["published"])).splitlines()
    assert said[0].startswith("20 methods have both numbers") and said[1] == "mean difference +0.80 points, without signs 1.10"
    assert said[2].startswith(f"furthest from the paper: {table['label'][2]} -3.00, ")


def with_users(method, seed, hits, **options):
    made = baco_record(method, seed, **options)
    made.per_user.update({"users": np.arange(30), "n_test": np.full(30, 40), "hits@20": hits})
    made.metrics.update({"recall@20": float((hits / 40).mean()), "recall_min@20": float((hits / 20).mean())})
    made.n_bytes.update({"parameters": 4000, "table": 5000, "stored": 6000})
    made.timings["build_seconds"] = 1.0 + seed
    return made


def test_against_others_pairs_baco_with_every_other_table(tmp_path, monkeypatch, rng):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path))
    low, high = rng.integers(0, 10, 30), rng.integers(10, 21, 30)
    runs = [with_users("baco", s, high) for s in (0, 1)] + [with_users("random-hash", 0, low), with_users("baco", 0, high, scu=False)]
    for run in runs:
        results.save(run)
    tests = tables.against_others(runs).set_index("b")
    assert tests.loc["Random", ["a", "verdict"]].tolist() == ["BACO", "undecided"]
    assert tests.loc["Random", "difference"] == pytest.approx(100 * (high - low).mean() / 40)
    assert tests.loc["BACO without SCU", "difference"] == 0
    capped = tables.against_others(runs, capped=True).set_index("b")
    assert capped.loc["Random", "difference"] == pytest.approx(100 * (high - low).mean() / 20)
    assert tables.against_others(runs[2:3]).empty
    third = [with_users("baco", 2, high), with_users("random-hash", 1, low), with_users("random-hash", 2, low)]
    for run in third:
        results.save(run)
    assert tables.against_others(runs + third).set_index("b").loc["Random", ["a", "verdict"]].tolist() == ["BACO", "better"]
    sizes = tables.sizes(runs).set_index("table")
    assert list(sizes.index[-1:]) == ["Random"] and sizes.loc["BACO", ["seeds", "trained, kB"]].tolist() == [2, 4]
    assert sizes.loc["Random", "Recall@20, %"] == pytest.approx(100 * low.mean() / 40)
    costs = tables.cost_of_rows(runs).set_index("table")
    assert costs.loc["BACO", "seconds to find the rows"] == 2
    assert costs.loc["Random", "Recall@20, %"] == pytest.approx(100 * low.mean() / 20)
    assert list(tables.frame(runs)["method"]) == ["BACO", "BACO", "Random", "BACO without SCU"]


def test_kept_in_words_needs_both_tables():
    baco, full = with_users("baco", 0, np.full(30, 10)), with_users("lightgcn", 0, np.full(30, 12))
    baco.provenance["table_parameters"], full.provenance["table_parameters"], full.n_bytes["table"] = 240, 1000, 20_000
    said = tables.kept_in_words([baco, full])
    assert said.startswith("BACO: Recall@20 50.00 % against 60.00 % of the full table, 76.0% fewer parameters")
    assert said.endswith("75.0% fewer bytes of table")
    assert tables.kept_in_words([baco]) == ""
