import dataclasses

import pytest
import torch

from recq_lib.companion.studies import study as studies
from recq_lib.config import TrainConfig, protocol
from recq_lib.errors import ConfigError
from recq_lib.io import paths
from recq_lib.runs import run as runs
from recq_lib.runs import store as results
from recq_lib.runs.run import Plan
from recq_lib.training.device import default_device

TINY = TrainConfig(dim=4, n_layers=1, epochs=4, eval_every=2, patience=0, batch_size=64, ks=(5, 10), select_metric="recall@5")


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path / "checkpoints"))


def plan(method="lightgcn", **changes):
    return Plan(method, "synthetic-tiny", "smoke", dataclasses.replace(TINY, **changes))


def test_run_saves_a_record_that_is_found_again():
    first = runs.run(plan())
    assert results.exists(first.spec)
    again = runs.run(plan())
    assert again.metrics == first.metrics and again.provenance["time"] == first.provenance["time"]
    assert runs.run(plan(), force=True).metrics == first.metrics
    assert not list(paths.checkpoints_dir().glob("*"))


def test_record_agrees_with_an_independent_evaluation():
    from recq_lib.data.synthetic import generate
    from recq_lib.evaluation.ranking import evaluate
    from recq_lib.runs.registry import build
    from recq_lib.training.trainer import fit

    record, data = runs.run(plan()), runs.prepare(plan())
    assert data.fingerprint == generate("tiny").fingerprint == record.spec.data_fingerprint
    model = build("lightgcn", data, TINY)
    fit(model, data, TINY)
    expected = evaluate(model, data, ks=(5, 10))
    assert {k: record.metrics[k] for k in expected.values} == expected.values
    assert (record.per_user["hits@10"] / record.per_user["n_test"]).mean() == pytest.approx(record.metrics["recall@10"])
    assert record.n_bytes == dict.fromkeys(("parameters", "table", "stored"), data.n_nodes * 16)
    assert len(record.history) == 4


def test_closed_forms_do_not_depend_on_training_settings():
    assert runs.run(plan("mostpop", lr=0.1)).spec.key == runs.run(plan("mostpop", lr=0.2, seed=3)).spec.key


def test_paused_run_continues_and_ends_equal():
    whole = runs.execute(plan(epochs=6), resume=False)
    pauses = 0
    while True:
        try:
            record = runs.run(plan(epochs=6), deadline=0.0)
            break
        except runs.RunPaused:
            pauses += 1
    assert pauses == 5
    assert record.metrics == whole.metrics and record.history == whole.history


def test_checkpoints_outlive_whatever_is_not_the_saved_run(monkeypatch):
    with pytest.raises(runs.RunPaused):
        runs.run(plan(epochs=6), deadline=0.0)
    checkpoint = runs.checkpoint_of(runs.spec_of(plan(epochs=6), runs.prepare(plan(epochs=6))))
    runs.execute(plan(epochs=6), resume=False)  # what --no-save does
    assert checkpoint.exists()

    def full_disk(record):
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(results, "save", full_disk)
        with pytest.raises(OSError, match="no space"):
            runs.run(plan(epochs=6))
    assert checkpoint.exists()
    assert runs.run(plan(epochs=6)).provenance["resumed"] is True
    assert not checkpoint.exists()


def test_validation_is_carved_only_when_needed(monkeypatch):
    from recq_lib.data.interactions import Interactions
    from recq_lib.data.synthetic import generate

    made = generate("tiny")
    bare = Interactions.from_pairs(made.pairs("train"), made.pairs("test"), n_users=made.n_users, n_items=made.n_items, name="bare")
    monkeypatch.setattr(runs, "load", lambda name, profile: bare)
    carved = runs.prepare(plan())
    assert carved.val.nnz > 0 and carved.n_train + carved.val.nnz == bare.n_train
    assert runs.prepare(plan(select_on="test")) is bare
    assert runs.prepare(plan("mostpop")).fingerprint == carved.fingerprint  # the same interactions for all that are compared
    assert runs.prepare(plan("mostpop", select_on="test")) is bare


def test_studies_hold_distinct_runs_with_enough_seeds():
    for name in studies.STUDIES:
        for profile in ("smoke", "quick", "paper"):
            plans = studies.plans(name, profile)
            assert len({(p.method, p.dataset, p.config) for p in plans}) == len(plans)
            assert all(p.profile == profile for p in plans)
    seeds = {p.config.seed for p in studies.plans("baselines", "paper") if p.dataset == "beauty" and p.method == "lightgcn"}
    assert len(seeds) >= 3
    assert all(p.config.select_on == "val" for p in studies.plans("baselines", "paper"))


def test_study_runs_once_and_reports_failures(monkeypatch):
    small = [plan("mostpop"), plan(), plan("ease")]
    monkeypatch.setitem(studies.STUDIES, "tiny", lambda profile: small)
    lines: list[str] = []
    assert studies.run_study("tiny", "smoke", report=lines.append).failures == 0
    assert len(lines) == 3 and all("recall@10" in line for line in lines)
    times = {r.spec.key: r.provenance["time"] for r in results.find()}
    assert studies.run_study("tiny", "smoke", report=lines.append).failures == 0
    assert {r.spec.key: r.provenance["time"] for r in results.find()} == times

    def broken(*_, **__):
        raise MemoryError("too large")

    with monkeypatch.context() as patch:
        patch.setattr(studies, "run", broken)
        assert studies.run_study("tiny", "smoke", report=lines.append).failures == 3
    assert "MemoryError: too large" in lines[-1]
    small.append(Plan("lightgcn", "no-such-data", "smoke", TINY))
    assert studies.run_study("tiny", "smoke", report=lines.append).failures == 1
    assert "FAILED" in lines[-1] and "no-such-data" in lines[-1]


def test_recorded_finds_a_studys_records_in_plan_order(monkeypatch):
    small = [plan(seed=1), plan("mostpop"), plan(seed=0), plan(seed=2)]
    monkeypatch.setitem(studies.STUDIES, "tiny", lambda profile: small if profile == "smoke" else [])
    assert studies.best_recorded("tiny") == ("", [])
    runs.run(plan(seed=9))  # of another study
    runs.run(small[1])
    assert studies.best_recorded("tiny") == ("", [])  # closed forms alone are no comparison
    for number in (2, 0):
        runs.run(small[number])
    profile, records = studies.best_recorded("tiny")
    assert profile == "smoke" and [(r.spec.method, r.spec.seed) for r in records] == [("lightgcn", 1), ("mostpop", 0), ("lightgcn", 0)]


@pytest.mark.slow
def test_parallel_study_gives_the_same_records(monkeypatch, tmp_path):
    plans = [p for p in studies.plans("baselines", "smoke") if p.method in ("mostpop", "itemknn")]
    wanted = {(p.method, p.config.seed) for p in plans}
    outcome = studies.run_study("baselines", "smoke", jobs=2, report=lambda _: None, only=lambda p: (p.method, p.config.seed) in wanted)
    assert outcome == studies.Outcome(0)
    parallel = {r.spec.key: r.metrics for r in results.find()}
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "other"))
    studies.run_study("baselines", "smoke", report=lambda _: None, only=lambda p: (p.method, p.config.seed) in wanted)
    assert {r.spec.key: r.metrics for r in results.find()} == parallel


def test_unknown_names_are_refused():
    with pytest.raises(ConfigError, match="did you mean 'baselines'"):
        studies.plans("baseline", "smoke")
    with pytest.raises(ConfigError, match="profile is 'fast'"):
        studies.plans("baselines", "fast")
    with pytest.raises(ConfigError, match="jobs is 0"):
        studies.run_study("baselines", "smoke", jobs=0)


def test_default_device_follows_the_machine():
    assert default_device() == ("cuda" if torch.cuda.is_available() else "cpu")


def test_protocol_names_are_recognised_in_reports():
    from recq_lib.companion.report import against_published, protocol_of

    records = [runs.execute(plan(seed=s, sampling="per_interaction", negatives="uniform"), resume=False) for s in range(3)]
    spec = records[0].spec

    def with_params(**changes):
        return dataclasses.replace(records[0], spec=dataclasses.replace(spec, params=protocol("baco").params() | changes))

    assert protocol_of(with_params()) == ("baco", {})
    assert protocol_of(with_params(n_layers=1, epochs=20)) == ("baco", {"n_layers": 1, "epochs": 20})
    for name in ("l2q", "l2q-authors", "lightgcn"):
        assert protocol_of(with_params(**protocol(name).params())) == (name, {})
    options = {"option.gamma": 0.1308, "option.scu": False}  # γ is set for each dataset by the paper itself, no second rows is a variant
    baco = with_params(**options)
    assert protocol_of(dataclasses.replace(baco, spec=dataclasses.replace(baco.spec, method="baco"))) == ("baco", {"option.scu": False})
    assert against_published(records).empty  # smoke runs are never compared with papers


def test_report_of_every_committed_record():
    """Each trained run whose protocol some paper prints numbers of has a row, and its protocol in words, never only "paper"."""
    from recq_lib.companion.report import against_published, groups, protocol_of

    records = results.find(paths.project_root() / "results", profile="paper", arrays=False)
    table = against_published(records)
    unprinted = {"ngcf", "fast"}  # of these protocols no paper prints numbers that we know
    quotable = [group[0] for group in groups(records) if group[0].history and protocol_of(group[0])[0] not in unprinted]
    assert len(table.drop_duplicates(["dataset", "method", "protocol", "differs"])) == len(quotable) > 100
    assert {text.removeprefix("laptop scale of ").split("'")[0] for text in table["protocol"]} == {"BACO", "BiGeaR", "LightGCN"}
    assert table["published"].notna().any() and table.loc[table["differs"] != "", "published"].isna().all()


def test_no_published_number_stands_beside_data_that_we_cleaned():
    """BiGeaR's authors logged a teacher on a Pinterest of their own; ours is another dataset of that name."""
    from recq_lib.companion import published
    from recq_lib.companion.report import against_published

    example = runs.execute(plan(), resume=False)
    ours = {}
    for name in ("gowalla", "pinterest"):
        assert published.value(dataset=name, method="bigear-teacher", paper="bigear", metric="recall@20") > 15
        spec = dataclasses.replace(example.spec, profile="paper", dataset=name, params=protocol("l2q-authors").params())
        (ours[name],) = against_published([dataclasses.replace(example, spec=spec, metrics={"recall@20": 0.15})]).to_dict("records")
    assert ours["gowalla"]["published"] > 15 and ours["pinterest"]["published"] is None
    assert "no published number answers" in ours["pinterest"]["note"]
    fixed = dataclasses.replace(spec, params=protocol("l2q-authors", select_on="none").params())
    (row,) = against_published([dataclasses.replace(example, spec=fixed, metrics={"recall@20": 0.15})]).to_dict("records")
    assert row["note"].startswith("all of train for a fixed length (no validation); ")


def test_report_places_ours_beside_the_published_number():
    from recq_lib.companion.report import against_published

    values = [0.075, 0.076, 0.078]
    config = protocol("baco")
    example = runs.execute(plan(sampling="per_interaction", negatives="uniform"), resume=False)
    records = []
    for seed, value in enumerate(values):
        spec = dataclasses.replace(example.spec, dataset="beauty", profile="paper", seed=seed, params=config.params())
        records.append(dataclasses.replace(example, spec=spec, metrics={"recall_min@10": value}))
    table = against_published(records)
    other = [dataclasses.replace(r, spec=dataclasses.replace(r.spec, params=r.spec.params | {"n_layers": 1})) for r in records]
    row = against_published(other).iloc[0]
    assert row["published"] is None and row["differs"] == "n_layers=1"  # not the protocol of the number
    row = table.iloc[0]
    assert len(table) == 1 and row["published"] == 7.619  # BACO Table 8, Full, Beauty, Recall@10
    logged = [
        dataclasses.replace(
            r, spec=dataclasses.replace(r.spec, dataset="ml1m", params=protocol("l2q-authors").params()), metrics={"recall@20": 0.25}
        )
        for r in records
    ]
    assert against_published(logged).iloc[0]["published"] == 26.02  # BiGeaR's teacher in its authors' logs
    mean = sum(values) / 3
    spread = (sum((v - mean) ** 2 for v in values) / 2) ** 0.5
    assert row["ours"] == pytest.approx(100 * mean)
    assert row["half_width"] == pytest.approx(100 * 4.302652729911275 * spread / 3**0.5)  # t(0.975, 2)
    assert row["difference"] == pytest.approx(100 * mean - 7.619)
