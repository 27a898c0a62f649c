"""Every command in this process: its answer, its status, and one line for whatever goes wrong."""

from __future__ import annotations

import dataclasses
import functools
import io
import json
import os
import re
import signal
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch

from recq_lib import __version__
from recq_lib.cli import main as cli
from recq_lib.cli import train
from recq_lib.config import PROTOCOLS, TrainConfig, protocol
from recq_lib.data.id_bytes import decode_ids
from recq_lib.errors import ConfigError
from recq_lib.io import paths
from recq_lib.runs import run as runs
from recq_lib.runs import store as results
from recq_lib.sharing.sharing import Sharing
from recq_lib.training import checkpoint as checkpoints

TINY = ("--dataset", "synthetic-tiny", "--profile", "smoke", "--epochs", "2", "--dim", "4", "--layers", "1")


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("RECQ_OFFLINE", "1")


def run(capsys, *arguments):
    code = cli.main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def wrong_usage(capsys, *arguments):
    with pytest.raises(SystemExit) as ended:
        cli.main(list(arguments))
    assert ended.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


# ---- commands in general ----------------------------------------------------------------------------------------------------


def test_help_lists_every_command_and_loads_nothing():
    code = "import sys; from recq_lib.cli.main import main; status = main(['--help']); heavy = {'torch', 'numpy', 'tyro', 'numba'}"
    done = subprocess.run([sys.executable, "-c", f"{code}; print(heavy & set(sys.modules)); sys.exit(status)"], **_CAPTURED)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "set()"
    assert all(f"  {name} " in done.stdout and entry.text in done.stdout for name, entry in cli.COMMANDS.items())


_CAPTURED = {"capture_output": True, "text": True, "timeout": 60, "check": False}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_explains_itself(name, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([*name.split(), "--help"])
    assert ended.value.code == 0 and "usage: " in capsys.readouterr().out


def test_library_commands_need_nothing_of_the_companion():
    modules = {module for entry in cli.COMMANDS.values() if ".companion." not in (module := entry.target.partition(":")[0])}
    code = f"import sys, importlib; [importlib.import_module(m) for m in {sorted(modules)}]"
    done = subprocess.run([sys.executable, "-c", f"{code}; print([m for m in sys.modules if 'companion' in m])"], **_CAPTURED)
    assert len(modules) == 5 and done.stdout.strip() == "[]", done.stderr


def test_version(capsys):
    assert run(capsys, "--version") == (0, f"recq {__version__}\n", "")


@pytest.mark.parametrize(("arguments", "text"), [
        ([], ""),
        (["dat"], "no command 'dat'; did you mean 'data'?"),
        (["dat", "list"], "no command 'dat'; did you mean 'data'?"),
        (["data", "lis"], "no command 'data lis'; did you mean 'data list'?"),
        (["trian", "lightgcn"], "no command 'trian'; did you mean 'train'?"),
        (["zzz"], "no command 'zzz'\n"),
    ])
def test_no_such_command_is_wrong_usage(capsys, arguments, text):
    code, out, err = run(capsys, *arguments)
    assert code == 2 and out == "" and "usage: recq COMMAND" in err and text in err


def test_usage_errors_exit_with_two():
    done = subprocess.run([sys.executable, "-m", "recq_lib", "train"], **_CAPTURED)
    assert done.returncode == 2 and "recq train" in done.stderr and "METHOD" in done.stderr and "--help" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--lr", "fast"], "--lr"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--fast"], "--fast"),
        (["compress", "baco"], "--csv"),
        (["compress", "baco", "--dataset", "synthetic-tiny", "--csv", "a.csv"], "--csv"),
    ],
)
def test_wrong_flags_are_wrong_usage(capsys, arguments, text):
    assert text in wrong_usage(capsys, *arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["train", "lightgnc", "--dataset", "synthetic-tiny"], "did you mean 'lightgcn'"),
        (["train", "lightgcn", "--dataset", "gowala"], "did you mean 'gowalla'"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--protocol", "bacco"], "did you mean 'baco'"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--set", "lr=fast"], "lr is 'fast', but must be a number"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--set", "lr"], "must be NAME=VALUE"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--set", "ks=5,x"], "ks is '5,x', but must be whole numbers separated by"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--set", "epochs=1.5"], "epochs is '1.5', but must be a whole number"),
        (["train", "baco", "--dataset", "synthetic-tiny", "--set", "scu=maybe"], "scu is 'maybe', but must be true or false"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--layers", "2", "--n-layers", "3"], "--n-layers are one setting; give one"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--n_layers=3", "--layers", "2"], "--layers and --n-layers are one setting"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--layers", "2", "--set", "n_layers=2"], "n_layers is given twice"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--lr", "0.001", "--set", "lr=0.1"], "lr is given twice"),
        (["compress", "baco", "--dataset", "synthetic-tiny", "--user", "who"], "--user belongs to --csv"),
        (["compress", "baco", "--dataset", "synthetic-tiny", "--min-rating", "3"], "--min-rating belongs to --csv"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--set", "rate=1"], "hyper-parameter is 'rate'"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--set", "options=x"], "hyper-parameter is 'options'"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--select-metric", "recall@²"], "select_metric is 'recall@²'"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--lr", "-1"], "lr is -1.0, but must be positive"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--seed", str(2**70)], f"seed is {2**70}, but must be below 2**63"),
        (["train", "lightgcn", "--dataset", "synthetic-tiny", "--profile", "fast"], "profile is 'fast'"),
        (["train", "lightgcn", *TINY, "--device", "banana"], "device is 'banana', which PyTorch does not know; choose cpu"),
        (["train", "mostpop", "--dataset", "synthetic-tiny", "--set", "ks=100000"], "K is 100000"),
        (["study", "nothing"], "study is 'nothing'"),
        (["study", "depth", "--profile", "smoke", "--dataset", "nope"], "is 'nope', but must be one of synthetic-smoke"),
        (["study", "depth", "--profile", "smoke", "--device", "banana"], "device is 'banana'"),
        (["data", "stats", "nothing"], "dataset is 'nothing'"),
    ],
)
def test_errors_are_one_line_and_exit_code_one(capsys, arguments, text):
    code, out, err = run(capsys, *arguments)
    assert code == 1 and out == ""
    assert err.startswith("error: ") and err.count("\n") == 1 and text in err
    assert not (paths.results_dir().exists() or paths.checkpoints_dir().exists())


def test_nothing_is_suggested_for_a_name_like_no_other(capsys):
    code, _, err = run(capsys, "train", "nope", "--dataset", "synthetic-tiny")
    assert code == 1 and "method is 'nope'" in err and "did you mean" not in err


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has CUDA")
def test_cuda_is_refused_where_there_is_none(capsys):
    code, _, err = run(capsys, "train", "lightgcn", *TINY, "--device", "cuda")
    assert code == 1 and err.startswith("error: device is 'cuda', which cannot be used here") and err.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (PermissionError(13, "Permission denied", "/there"), "error: /there: Permission denied; "),
        (OSError(28, "No space left on device", "/there"), "error: /there: No space left on device; "),
        (MemoryError("Unable to allocate 3 TiB"), "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), "not enough memory"),
    ],
)
def test_troubles_of_the_machine_are_one_line(capsys, monkeypatch, error, text):
    def fails(*_, **__):
        raise error

    monkeypatch.setattr(runs, "run", fails)
    code, out, err = run(capsys, "train", "lightgcn", *TINY)
    assert code == 1 and out == "" and text in err and err.count("\n") == 1


def test_an_error_of_the_program_is_not_hidden(monkeypatch):
    def fails(*_, **__):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(runs, "run", fails)
    with pytest.raises(RuntimeError, match="shapes differ"):
        cli.main(["train", "lightgcn", *TINY])


def test_interruption_is_said_in_a_line(capsys, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(runs, "run", stopped)
    code, _, err = run(capsys, "train", "lightgcn", *TINY)
    assert code == 130 and err.strip() == "interrupted; what was saved before is kept"


@pytest.mark.skipif(os.name != "posix", reason="needs signals")
@pytest.mark.parametrize("how, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_training_says_a_line_and_keeps_its_last_epoch(tmp_path, how, code):
    settings = ["--epochs", "100000", "--dim", "4", "--eval-every", "1", "--ks", "5", "--select-metric", "recall@5", "--patience", "0"]
    call = [sys.executable, "-m", "recq_lib", "train", "lightgcn", "--dataset", "synthetic-tiny", *settings]
    folders = {f"RECQ_{name}_DIR": str(tmp_path / name.lower()) for name in ("RESULTS", "CHECKPOINTS")}
    environment = {name: value for name, value in os.environ.items() if name != "RECQ_PROGRESS"} | folders
    usual = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a shell lets what runs in the background ignore it
    process = subprocess.Popen(call, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=usual)
    seen = [process.stderr.readline() for _ in range(3)]  # a line for every epoch
    process.send_signal(how)
    *more, last = process.communicate(timeout=300)[1].splitlines()
    assert process.returncode == code and last == "interrupted; what was saved before is kept"
    told = [line for line in (*seen, *more) if line.strip()]
    assert all(line.startswith("epoch ") for line in told)
    (checkpoint,) = (tmp_path / "checkpoints").glob("*.pt")
    assert checkpoints.load(checkpoint).meta["epoch"] in (len(told), len(told) + 1)  # the signal may come between the two


def test_terminal_without_greek_letters(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="ascii", write_through=True))
    with pytest.raises(SystemExit) as ended:
        cli.main(["compress", "--help"])  # it has a γ
    assert ended.value.code == 0 and b"without it gamma is" in written.getvalue()


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no /dev/full")
def test_output_that_cannot_be_written():
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "recq_lib", "--help"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.count("\n") == 1 and "No space left" in done.stderr


# ---- train ------------------------------------------------------------------------------------------------------------------


def test_train_prints_json_and_records(capsys):
    arguments = ["train", "lightgcn", "--dataset", "synthetic-tiny", "--profile", "smoke", "--epochs", "2", "--dim", "4", "--layers", "1"]
    code, out, _ = run(capsys, *arguments, "--set", "ks=5,10", "--set", "select_metric=recall@5", "--set", "patience=0", "--json")
    answer = json.loads(out)
    assert code == 0 and 0 <= answer["metrics"]["recall@10"] <= 1
    assert set(answer) == {"key", "method", "dataset", "seed", "source", "metrics", "bytes", "timings", "table"}
    assert len(list((paths.results_dir() / "records").rglob(f"{answer['key']}.json"))) == 1


def test_flag_and_set_are_the_same_run(capsys):
    short = ("train", "lightgcn", "--dataset", "synthetic-tiny", "--profile", "smoke", "--epochs", "1", "--json")
    _, first, _ = run(capsys, *short, "--n-layers", "1", "--ks", "5", "10", "--l2", "0.01", "--select-metric", "recall@5")
    options = (f"--set={setting}" for setting in ("n_layers=1", "ks=5,10", "l2=0.01", "select_metric=recall@5"))
    _, second, _ = run(capsys, *short, *options)
    assert json.loads(first) == json.loads(second)  # timings too: the second was looked up


def test_train_without_saving_leaves_nothing(capsys):
    code, out, _ = run(capsys, "train", "mostpop", "--dataset", "synthetic-tiny", "--set", "ks=5", "--no-save")
    assert code == 0 and "recall@5" in out and "bytes: " in out
    assert not paths.results_dir().exists()


def test_a_recorded_run_is_said_to_be_one(capsys):
    told = "recorded before, not run again"
    assert told not in run(capsys, "train", "mostpop", "--dataset", "synthetic-tiny", "--ks", "5")[2]
    code, out, err = run(capsys, "train", "mostpop", "--dataset", "synthetic-tiny", "--ks", "5")
    assert code == 0 and "recall@5" in out and told in err and told not in out
    assert told not in run(capsys, "train", "mostpop", "--dataset", "synthetic-tiny", "--ks", "5", "--force")[2]


def test_profile_follows_the_data(capsys):
    for arguments, profile in (((), "smoke"), (("--profile", "quick"), "quick")):
        _, out, _ = run(capsys, "train", "mostpop", "--dataset", "synthetic-tiny", "--ks", "5", *arguments, "--json")
        assert results.load(json.loads(out)["key"]).spec.profile == profile


def test_settings_of_training_are_idle_where_nothing_is_trained(capsys):
    short = ("train", "mostpop", "--dataset", "synthetic-tiny", "--ks", "5", "--select-on", "val", "--json")
    code, out, err = run(capsys, *short, "--epochs", "2", "--set", "batch_size=8")
    assert code == 0 and err == "note: mostpop is solved, not trained: --batch-size, --epochs changes nothing\n"
    _, again, err = run(capsys, *short)
    assert json.loads(again)["key"] == json.loads(out)["key"] and "note" not in err
    assert "note" not in run(capsys, "train", "mf", *short[2:], "--epochs", "1", "--select-metric", "recall@5", "--no-save")[2]


def test_warnings_are_one_plain_line(capsys, monkeypatch):
    def warns(*_, **__):
        warnings.warn("one line\nand another", stacklevel=1)
        raise ConfigError("enough")

    monkeypatch.setattr(runs, "run", warns)
    before = warnings.showwarning
    assert run(capsys, "train", "lightgcn", *TINY) == (1, "", "warning: one line and another\nerror: enough\n")
    assert warnings.showwarning is before


def test_log_has_a_line_for_each_evaluation(capsys, monkeypatch):
    monkeypatch.delenv("RECQ_PROGRESS")
    arguments = ("--ks", "5", "--select-metric", "recall@5", "--eval-every", "2", "--patience", "0", "--epochs", "3", "--no-save")
    _, _, err = run(capsys, "train", "mf", "--dataset", "synthetic-tiny", *arguments)
    lines = err.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("epoch ")] == ["0", "2"]
    monkeypatch.setenv("RECQ_PROGRESS", "0")
    assert "epoch" not in run(capsys, "train", "mf", "--dataset", "synthetic-tiny", *arguments)[2]


def test_missing_dataset_names_the_file_to_place(capsys, monkeypatch, tmp_path):
    monkeypatch.delenv("RECQ_DATA_DIR", raising=False)
    monkeypatch.setenv("RECQ_CACHE_DIR", str(tmp_path / "cache"))
    code, _, err = run(capsys, "train", "mostpop", "--dataset", "gowalla")
    assert code == 1 and "gowalla" in err and "train.txt" in err and err.count("\n") == 1


def test_options_become_the_configuration():
    arguments = ["lightgcn", "--dataset", "beauty", "--seed", "3", "--lr", "0.01"]
    config = train.Train.parse([*arguments, "--set", "ks=10,50", "--set", "mask_at_selection=train,val"]).resolved()
    assert (config.sampling, config.seed, config.lr, config.ks) == ("per_interaction", 3, 0.01, (10, 50))
    assert config.mask_at_selection == ("train", "val")
    with pytest.raises(ConfigError, match="ks is 'ten'"):
        train.converted("ks", tuple[int, ...], "ten")


@pytest.mark.parametrize("name", PROTOCOLS)
def test_without_flags_the_configuration_is_the_protocol(name):
    assert train.Train.parse(["lightgcn", "--dataset", "gowalla", "--protocol", name]).resolved() == PROTOCOLS[name]


def test_protocol_of_a_dataset():
    assert train.Train.parse(["baco", "--dataset", "beauty"]).resolved() == PROTOCOLS["baco"]
    assert train.Train.parse(["baco", "--dataset", "gowalla"]).resolved() == PROTOCOLS["lightgcn"]


def test_every_setting_is_a_flag():
    given = {
        "dim": 8, "n_layers": 1, "readout": "last", "init_std": 0.5, "lr": 0.25, "batch_size": 7, "l2": 0.125, "weight_decay": 2.0,
        "sampling": "per_user", "negatives": "uniform", "epochs": 9, "eval_every": 3, "patience": 2, "select_metric": "ndcg@5",
        "select_on": "test", "mask_at_selection": ("train", "val"), "ks": (5, 6), "seed": 4,
        "loss": "softmax", "temperature": 0.5, "lr_decay": "linear", "start": "spectral",
    }  # fmt: skip
    assert set(given) == {field.name for field in dataclasses.fields(TrainConfig)} - {"options"}
    flags = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", *_words(value))]
    assert train.Train.parse(["lightgcn", "--dataset", "gowalla", *flags]).resolved() == TrainConfig(**given)


def test_a_run_of_fixed_length_says_so(capsys):
    flags = ("--protocol", "fast", "--select-on", "none", "--epochs", "2", "--dim", "8", "--ks", "5", "20", "--no-save")
    code, out, _ = run(capsys, "train", "lightgcn", "--dataset", "synthetic-tiny", *flags)
    assert code == 0 and "epochs: last 1; the last is kept, nothing was evaluated before" in out
    assert "best_" not in out


def _words(value):
    return map(str, value) if isinstance(value, tuple) else [str(value)]


def test_options_of_a_method(capsys):
    code, _, err = run(capsys, "train", "ptq-sign", "--dataset", "synthetic-tiny", "--set", "teacher_epochs=many")
    assert code == 1 and "teacher_epochs is 'many', but must be a whole number" in err
    parsed = train.Train.parse(["ptq-sign", "--dataset", "gowalla", "--set", "teacher_epochs=5"]).resolved()
    assert parsed == dataclasses.replace(PROTOCOLS["lightgcn"], options={"teacher_epochs": 5})


# ---- report -----------------------------------------------------------------------------------------------------------------


def test_report_sets_recorded_runs_beside_published_numbers(capsys):
    plan = runs.Plan("lightgcn", "synthetic", "paper", protocol("lightgcn", epochs=1, dim=4))
    record = runs.execute(plan, resume=False)
    results.save(record)  # another setting than the paper's
    spec = dataclasses.replace(record.spec, dataset="beauty", params=protocol("baco").params())
    results.save(dataclasses.replace(record, spec=spec))

    code, out, _ = run(capsys, "report", "--dataset", "beauty", "--method", "lightgcn", "--json")
    rows = json.loads(out)
    assert code == 0 and {row["metric"]: row["published"] for row in rows} == {
        "recall_min@10": 7.619,
        "ndcg@10": 4.814,
        "recall_min@50": 16.343,
        "ndcg@50": 6.998,
    }
    assert {row["dataset"] for row in rows} == {"beauty"} and not any(row["differs"] for row in rows)
    _, out, _ = run(capsys, "report", "--json")
    others = [row for row in json.loads(out) if row["dataset"] != "beauty"]
    assert others and all(row["published"] is None and "dim=4" in row["differs"] for row in others)
    code, out, err = run(capsys, "report", "--dataset", "beuty")
    assert code == 1 and out == "" and "recorded dataset is 'beuty'" in err and "did you mean 'beauty'" in err


def test_report_without_records(capsys):
    code, out, _ = run(capsys, "report", "--json")
    assert code == 0 and json.loads(out) == []
    code, out, _ = run(capsys, "report", "--method", "baco")
    assert code == 0 and out.strip() == "no records yet; run a study first"
    code, out, _ = run(capsys, "report")  # claims are about methods and data together, so only without a choice of either
    assert code == 0 and out.startswith("no records yet") and "±2%" in out
    assert "baco: more than 75% fewer embedding parameters (abstract)" in out and "\n| baco | more than 75%" in out


# ---- data, compress, bench, notebooks ---------------------------------------------------------------------------------------


def test_data_commands(capsys):
    code, out, _ = run(capsys, "data", "list", "--json")
    assert code == 0 and {card["name"] for card in json.loads(out)} >= {"beauty", "gowalla", "ml1m"}
    code, out, _ = run(capsys, "data", "stats", "synthetic-tiny", "--json")
    stats = json.loads(out)
    assert code == 0 and stats["train"] > 0 and stats["source"] == "synthetic"


def test_data_list_shows_the_terms(capsys):
    _, out, _ = run(capsys, "data", "list")
    header, *lines = out.splitlines()
    assert header.split()[:4] == ["name", "users", "items", "train"]
    listed = dict(zip(lines[::2], lines[1::2], strict=True))
    (terms,) = (terms for card, terms in listed.items() if card.startswith("ml1m "))
    assert "no commercial use without permission" in terms
    assert all("terms: " in terms and len(terms) > 30 for terms in listed.values())


def test_compress_writes_the_rows(capsys, tmp_path):
    arguments = ("compress", "random-hash", "--dataset", "synthetic-tiny", "--budget", "0.5")
    code, out, _ = run(capsys, *arguments, "--output", str(tmp_path / "rows.npz"), "--json")
    answer = json.loads(out)
    with np.load(tmp_path / "rows.npz") as rows:
        assert list(rows["sizes"]) == [answer["user_rows"], answer["item_rows"]]
    assert code == 0 and answer["ratio"] == pytest.approx(0.5, abs=0.05)


def test_compress_of_rated_rows(capsys, tmp_path):
    (tmp_path / "own.csv").write_text("user;item;stars\n" + "".join(f"u{u};i{i};{1 + (u + i) % 5}\n" for u in range(8) for i in range(5)))
    arguments = ("compress", "random-hash", "--csv", str(tmp_path / "own.csv"), "--separator", ";", "--budget", "0.5", "--tolerance", "0.1")
    target = tmp_path / "rows.npz"
    code, _, _ = run(capsys, *arguments, "--rating", "stars", "--min-rating", "5", "--output", str(target), "--json")
    with np.load(target) as rows:  # 5 stars: (u + i) % 5 == 4, which every user has once
        assert sorted(decode_ids(rows["user_ids"])) == [f"u{u}" for u in range(8)] and len(rows["user_rows"]) == 8
    assert code == 0
    code, _, err = run(capsys, *arguments, "--min-rating", "5")
    assert code == 1 and "--min-rating is 5, but no column of ratings is named; add --rating COLUMN" in err and err.count("\n") == 1


def test_what_happened_to_the_rows_of_a_table_is_told(capsys, tmp_path):
    (tmp_path / "own.csv").write_text("user,item\n10,a\n20,a\n30,b\n30,b\n")
    arguments = ("compress", "random-hash", "--csv", str(tmp_path / "own.csv"), "--json")
    code, out, err = run(capsys, *arguments)
    assert code == 0 and json.loads(out)["dataset"] == "own"
    assert err.startswith("note: 1 of 4 rows left out as repeats; user ids 10 … 30 are numbered 0 … 2") and err.count("\n") == 1
    code, _, err = run(capsys, *arguments, "--user", "item")
    assert code == 1 and "column 'item' is named for two purposes" in err and err.count("\n") == 1


def test_a_missed_budget_names_sizes_and_a_met_one_stands_beside_what_was_asked(capsys):
    arguments = ("compress", "lsh-hash", "--dataset", "synthetic-tiny", "--dim", "16")
    code, out, err = run(capsys, *arguments, "--budget", "0.3")
    assert code == 1 and out == "" and "within 1 %; the nearest sizes found are 384 (24.00%) and 512 (32.00%); set one of them" in err
    code, out, _ = run(capsys, *arguments, "--budget", "512")
    assert code == 0 and "512 parameters for 512 asked for (+0.0%), 32.00% of a full table" in out


def test_train_says_what_a_table_was_asked_for(capsys):
    code, out, err = run(capsys, "train", "baco", *TINY, "--ks", "5", "--select-metric", "recall@5", "--no-save")
    assert code == 0 and "warning: the default size, GraphHash's" in err
    assert re.search(r"table: \d+ parameters for 400 asked for \(-\d+\.\d%\)", out)
    _, out, _ = run(capsys, "train", "lightgcn", *TINY, "--ks", "5", "--select-metric", "recall@5", "--no-save")
    assert "asked for" not in out


def test_folders_are_tried_before_the_work(capsys, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setattr(runs, "run", lambda *_, **__: pytest.fail("the work has begun"))
    for variable in ("RECQ_RESULTS_DIR", "RECQ_CHECKPOINTS_DIR"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(tmp_path / "file" / "x"))
            for arguments in (("train", "lightgcn", *TINY), ("study", "depth", "--profile", "smoke")):
                code, out, err = run(capsys, *arguments)
                assert code == 1 and out == "" and err.count("\n") == 1
                assert "it is not a folder" in err and f"set {variable} to another folder" in err


def test_compress_of_a_csv_without_second_rows(capsys, tmp_path):
    (tmp_path / "own.csv").write_text("customer,sku\n" + "".join(f"c{u},s{(u * k) % 7}\n" for u in range(9) for k in (1, 2, 3)))
    arguments = ("compress", "baco", "--csv", str(tmp_path / "own.csv"), "--user", "customer", "--item", "sku", "--gamma", "1")
    code, out, _ = run(capsys, *arguments, "--no-scu", "--json")
    assert code == 0 and json.loads(out)["extra_indices"] == 0 and json.loads(out)["gamma"] == 1


def test_compress_takes_options_of_the_method(capsys, tmp_path):
    compress = ("compress", "baco", "--dataset", "synthetic-smoke", "--gamma", "0.6")
    found = {}
    for ties in ("last", "official"):
        code, _, _ = run(capsys, *compress, "--set", f"ties={ties}", "--set", "sweeps=2", "--output", str(tmp_path / "rows.npz"))
        assert code == 0
        found[ties] = Sharing.load(tmp_path / "rows.npz").found
        assert (found[ties].settings["ties"], found[ties].settings["sweeps"]) == (ties, 2)
    assert (found["last"].labels != found["official"].labels).any()


@pytest.mark.parametrize(("text", "told"), [
    ("ties=first", "ties is 'first'"), ("tie=last", "option of 'baco' is 'tie'"), ("ties", "must be NAME=VALUE"),
    ("sweeps=many", "sweeps is 'many', but must be a whole number"), ("gamma=2", "gamma is given twice"),
])  # fmt: skip
def test_wrong_options_of_compress_are_told(capsys, text, told):
    code, out, err = run(capsys, "compress", "baco", "--dataset", "synthetic-tiny", "--gamma", "0.6", "--set", text)
    assert code == 1 and out == "" and told in err and err.count("\n") == 1


@pytest.mark.parametrize(("output", "text"), [("nodir/x.npz", "does not exist"), (".", "is a folder"), ("", "is a folder")])
@pytest.mark.parametrize("command", [("compress", "sbc", "--dataset", "gowalla"), ("bench", "--dataset", "gowalla")])
def test_output_is_refused_before_the_work(capsys, monkeypatch, tmp_path, command, output, text):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("RECQ_DATA_DIR", raising=False)  # were it looked for, the dataset would be missed first
    monkeypatch.setenv("RECQ_CACHE_DIR", str(tmp_path / "cache"))
    code, out, err = run(capsys, *command, "--output", output)
    assert code == 1 and out == "" and err.startswith("error: output is ") and text in err and err.count("\n") == 1


def test_notebooks_passes_its_arguments_to_the_runner(capsys):
    code, _, err = run(capsys, "notebooks", "run", "--only", "99")
    assert code == 2 and "notebook '99' is not there" in err


def test_notebooks_without_arguments_runs_nothing(capsys):
    code, out, err = run(capsys, "notebooks")
    assert code == 2 and out == "" and err.startswith("usage: recq notebooks ") and "execute the notebooks" in err
    with pytest.raises(SystemExit) as ended:
        cli.main(["notebooks", "run", "--help"])
    assert ended.value.code == 0 and capsys.readouterr().out.startswith("usage: recq notebooks run ")


def test_missing_extra_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "recq_lib.companion.runner", None)
    code, _, err = run(capsys, "notebooks", "lint")
    assert code == 1 and "run: pip install 'recq[notebooks]'" in err and err.count("\n") == 1
