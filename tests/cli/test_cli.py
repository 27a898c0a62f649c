import dataclasses
import json
import subprocess
import sys

import pytest

from recq_lib.cli import main as cli
from recq_lib.errors import ConfigError
from recq_lib.io import paths


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("RECQ_OFFLINE", "1")


def run(capsys, *arguments):
    code = cli.main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_train_prints_json_and_records(capsys):
    arguments = ["train", "lightgcn", "--dataset", "synthetic-tiny", "--profile", "smoke", "--epochs", "2", "--dim", "4", "--layers", "1"]
    code, out, _ = run(capsys, *arguments, "--set", "ks=5,10", "--set", "select_metric=recall@5", "--set", "patience=0", "--json")
    answer = json.loads(out)
    assert code == 0 and 0 <= answer["metrics"]["recall@10"] <= 1
    assert len(list((paths.results_dir() / "records").rglob(f"{answer['key']}.json"))) == 1


def test_train_without_saving_leaves_nothing(capsys):
    code, out, _ = run(capsys, "train", "mostpop", "--dataset", "synthetic-tiny", "--set", "ks=5", "--no-save")
    assert code == 0 and "recall@5" in out
    assert not paths.results_dir().exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["train", "lightgnc", "--dataset", "synthetic-tiny"], "did you mean 'lightgcn'"),
        (["train", "lightgcn", "--dataset", "gowala"], "did you mean 'gowalla'"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--set", "lr=fast"], "lr is 'fast', but must be of type float"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--set", "lr"], "must be NAME=VALUE"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--set", "rate=1"], "hyper-parameter is 'rate'"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--profile", "fast"], "profile is 'fast'"),
        (["train", "mostpop", "--dataset", "synthetic-tiny", "--set", "ks=100000"], "K is 100000"),
        (["study", "nothing"], "study is 'nothing'"),
        (["data", "stats", "nothing"], "dataset is 'nothing'"),
    ],
)
def test_errors_are_one_line_and_exit_code_one(capsys, arguments, text):
    code, out, err = run(capsys, *arguments)
    assert code == 1 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and text in err


def test_missing_dataset_names_the_file_to_place(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("RECQ_DATA_DIR", raising=False)
    monkeypatch.setenv("RECQ_CACHE_DIR", str(tmp_path / "cache"))
    code, _, err = run(capsys, "train", "mostpop", "--dataset", "gowalla")
    assert code == 1 and "gowalla" in err and "train.txt" in err and err.count("\n") == 1


def test_recorded_run_is_shown_beside_the_published_number(capsys, monkeypatch):
    from recq_lib.config import protocol
    from recq_lib.runs import run as runs
    from recq_lib.runs import store as results

    options = ["train", "lightgcn", "--dataset", "synthetic", "--epochs", "1", "--dim", "4", "--json", "--no-save"]
    code, out, _ = run(capsys, *options)
    assert code == 0 and json.loads(out)["published"] == {}  # another setting than the paper's

    plan = runs.Plan("lightgcn", "synthetic", "paper", protocol("lightgcn", epochs=1, dim=4))
    record = runs.execute(plan, resume=False)
    spec = dataclasses.replace(record.spec, dataset="beauty", params=protocol("baco").params())
    monkeypatch.setattr(runs, "run", lambda *_, **__: dataclasses.replace(record, spec=spec))
    code, out, _ = run(capsys, "train", "lightgcn", "--dataset", "beauty", "--json")
    assert code == 0 and json.loads(out)["published"] == {
        "recall_min@10": 7.619,
        "ndcg@10": 4.814,
        "recall_min@50": 16.343,
        "ndcg@50": 6.998,
    }
    assert not results.find()


def test_options_become_the_configuration():
    options = cli._parser().parse_args(
        [
            "train",
            "lightgcn",
            "--dataset",
            "beauty",
            "--seed",
            "3",
            "--lr",
            "0.01",
            "--set",
            "ks=10,50",
            "--set",
            "mask_at_selection=train,val",
        ]
    )
    config = cli.config_from(options)
    assert (config.sampling, config.seed, config.lr, config.ks) == ("per_interaction", 3, 0.01, (10, 50))
    assert config.mask_at_selection == ("train", "val")
    with pytest.raises(ConfigError, match="ks is 'ten'"):
        cli._typed("ks", "ten")


def test_data_commands(capsys):
    code, out, _ = run(capsys, "data", "list", "--json")
    assert code == 0 and {card["name"] for card in json.loads(out)} >= {"beauty", "gowalla", "ml1m"}
    code, out, _ = run(capsys, "data", "stats", "synthetic-tiny", "--json")
    stats = json.loads(out)
    assert code == 0 and stats["train"] > 0 and stats["source"] == "synthetic"
    code, out, _ = run(capsys, "report", "--json")
    assert code == 0 and json.loads(out) == []


def test_usage_errors_exit_with_two():
    done = subprocess.run([sys.executable, "-m", "recq_lib", "train"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2 and "usage" in done.stderr
