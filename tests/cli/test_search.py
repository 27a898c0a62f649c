"""`recq export`, `search`, `recommend` and `train --output`: from a training to answers in own ids, without PyTorch at the end."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from index_samples import small_index

import recq_lib as recq
from recq_lib.cli import main as cli
from recq_lib.codes.index import Index
from recq_lib.io import paths

TRAIN = ("train", "l2q-gcn", "--dataset", "synthetic-tiny", "--epochs", "2", "--eval-every", "1", "--dim", "8", "--layers", "1",
         "--ks", "5", "--select-metric", "recall@5")  # fmt: skip


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path / "checkpoints"))
    monkeypatch.setenv("RECQ_OFFLINE", "1")


def run(capsys, *arguments):
    code = cli.main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def check_error(capsys, text, *arguments):
    code, out, err = run(capsys, *arguments)
    assert code == 1 and out == "" and err.startswith("error: ") and err.count("\n") == 1 and text in err


# ---- answers ------------------------------------------------------------------------------------------------------------------


def test_recommend_answers_as_the_index_does(capsys):
    index = small_index()
    index.save("x.index")
    users = ["李雷", "ann"]
    for flags, settings in ((("-k", "3"), {"k": 3}), (("--k", "70", "--seen"), {"k": 70, "seen": True}), ((), {})):
        items, scores = index.recommend(users, **settings)
        code, out, _ = run(capsys, "recommend", "x.index", "--user", *users, *flags, "--json")
        expected = [{"user": u, "items": i.tolist(), "scores": s.tolist()} for u, i, s in zip(users, items, scores, strict=True)]
        assert code == 0 and json.loads(out) == expected
    _, out, _ = run(capsys, "recommend", "x.index", "--user", *users, "-k", "2")
    header, *lines = [line.split() for line in out.splitlines()]
    items, scores = index.recommend(users, 2)
    assert header == ["user", "rank", "item", "score"]
    assert [line[:3] for line in lines] == [[u, str(r + 1), items[n][r]] for n, u in enumerate(users) for r in range(2)]
    assert [float(line[3]) for line in lines] == pytest.approx([*scores[0], *scores[1]], rel=1e-5)


def test_search_answers_by_number(capsys):
    index = small_index()
    index.save("x.index")
    items, scores = index.search([3, 0], 4)
    code, out, _ = run(capsys, "search", "x.index", "--user", "3", "0", "-k", "4", "--json")
    assert code == 0 and [answer["items"] for answer in json.loads(out)] == [row.tolist() for row in items]
    assert [answer["scores"] for answer in json.loads(out)] == [row.tolist() for row in scores]


def test_a_table_stays_a_table(capsys):
    """A user for whom nothing is left has a line, and an id with a line end stays on its own."""
    whole = small_index()
    Index.of(recq.pack(np.eye(6), np.ones((70, 6)), bits=8), user_ids=["a\nb", *"cdefg"], item_ids=range(1000, 1070),
             seen=whole.interactions()).save("x.index")  # fmt: skip
    _, out, _ = run(capsys, "recommend", "x.index", "--user", "a\nb", "g", "-k", "1")
    assert [line.split() for line in out.splitlines()][1][:2] == ["'a\\nb'", "1"] and out.splitlines()[2].split() == ["g", "-", "-", "-"]
    assert len(out.splitlines()) == 3 and len({len(line) for line in out.splitlines()}) == 1


def test_wrong_requests_are_one_line(capsys):
    small_index().save("x.index")
    check_error(capsys, "user 'nobody' is not among the 6 users, such as 'zoë'", "recommend", "x.index", "--user", "nobody")
    check_error(capsys, "user '\\udcff' is not among", "recommend", "x.index", "--user", "\udcff")
    check_error(capsys, "user 6 is unknown; numbers go from 0 to 5", "search", "x.index", "--user", "6")
    check_error(capsys, "k is 0", "search", "x.index", "--user", "1", "-k", "0")
    check_error(capsys, "--user names nobody", "search", "x.index", "--user")
    check_error(capsys, "index file y.index does not exist", "recommend", "y.index", "--user", "1")
    with open("x.index", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"?")
    check_error(capsys, "its checksum does not fit", "recommend", "x.index", "--user", "ann")


@pytest.mark.parametrize("command", [["search", "x.index", "--user", "1"], ["recommend", "x.index", "--user", "ann", "--json"]])
def test_answering_loads_neither_torch_nor_pandas(command):
    small_index().save("x.index")
    code = f"import sys; from recq_lib.cli.main import main; status = main({command})"
    code += "; print(sorted({'torch', 'pandas', 'safetensors', 'sklearn', 'requests'} & set(sys.modules))); sys.exit(status)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0 and done.stdout.splitlines()[-1] == "[]", done.stderr


# ---- from a training -----------------------------------------------------------------------------------------------------------


def test_train_export_recommend(capsys):
    code, _, _ = run(capsys, *TRAIN, "--output", "m.safetensors")
    assert code == 0
    code, out, _ = run(capsys, "export", "--model", "m.safetensors", "--output", "x.index", "--json")
    sizes, model = json.loads(out), recq.Recommender.load("m.safetensors")
    data = recq.load("synthetic-tiny", profile="smoke")
    assert code == 0 and (sizes["users"], sizes["items"], sizes["segments"]) == (data.n_users, data.n_items, 2)
    n, groups = data.n_users, -(-data.n_items // 64) * 64
    assert sizes["codes_bytes"] == (n + groups) * 2 * (8 + 4) + 4 * data.n_items  # items stand in groups of 64, with their order of ties
    assert sizes["file_bytes"] == len(open("x.index", "rb").read())
    assert sizes["times_smaller"] == pytest.approx(4 * 8 * (n + data.n_items) / sizes["codes_bytes"])
    code, out, _ = run(capsys, "recommend", "x.index", "--user", "42", "7", "-k", "3", "--json")
    table = recq.recommend(model, [42, 7], k=3)
    assert code == 0 and [item for answer in json.loads(out) for item in answer["items"]] == table["item"].tolist()
    _, out, _ = run(capsys, "export", "--model", "m.safetensors", "--output", "x.index", "--no-seen")
    assert "times smaller than a float32 vector of 8 (32 bytes)" in out and "what users have already 0" in out


def test_the_model_is_that_of_the_record(capsys):
    """Trained for its record, looked up afterwards, or trained once more because only its results were kept: the same model."""
    run(capsys, *TRAIN)
    code, _, err = run(capsys, *TRAIN, "--output", "again.safetensors")
    assert code == 0 and "recorded before, not run again" in err and "its parameters were not kept; trained once more" in err
    code, _, err = run(capsys, *TRAIN, "--output", "kept.safetensors")
    assert code == 0 and "trained once more" not in err
    assert run(capsys, *TRAIN, "--force", "--output", "forced.safetensors")[0] == 0
    kept = list(paths.checkpoints_dir().rglob("*.pt"))
    assert len(kept) == 1
    kept[0].unlink()
    assert run(capsys, *TRAIN, "--no-save", "--output", "alone.safetensors")[0] == 0
    assert not list(paths.checkpoints_dir().rglob("*.pt"))
    models = [recq.Recommender.load(f"{name}.safetensors") for name in ("again", "kept", "forced", "alone")]
    for other in models[1:]:
        for name, tensor in models[0].state_dict().items():
            assert torch.equal(tensor, other.state_dict()[name]), name
        assert models[0].codes() == other.codes() and (models[0].interactions() != other.interactions()).nnz == 0


def test_output_of_train_is_refused_before_the_work(capsys):
    check_error(capsys, "the folder 'nodir' does not exist", *TRAIN, "--output", "nodir/m")
    check_error(capsys, "mostpop is solved, not trained, and no file keeps it", "train", "mostpop", "--dataset", "synthetic-tiny",
                "--output", "m")  # fmt: skip
    assert not (paths.results_dir().exists() or paths.checkpoints_dir().exists())


# ---- from vectors --------------------------------------------------------------------------------------------------------------


def test_export_of_vectors_with_own_ids(capsys, rng):
    users, items = rng.normal(size=(5, 16)).astype(np.float32), rng.normal(size=(40, 16))
    np.save("u.npy", users)
    np.save("i.npy", items)
    np.save("ids.npy", np.arange(40) * 10)
    with open("names.txt", "w", encoding="utf-8", newline="") as file:
        file.write("ann\r\nbob\n\ncid x\nzoë")
    flags = ("export", "--users", "u.npy", "--items", "i.npy", "--output", "x.index", "--user-ids", "names.txt", "--item-ids", "ids.npy")
    code, out, _ = run(capsys, *flags, "--bits", "8")
    assert code == 0 and "times smaller than a float32 vector of 16 (64 bytes)" in out
    index = Index.load("x.index")
    assert index.user_ids.tolist() == ["ann", "bob", "", "cid x", "zoë"] and index.item_ids.tolist() == list(range(0, 400, 10))
    best = np.argsort(-(users @ items.T), axis=1)[:, 0] * 10  # 8 bits keep the best where it stands out
    assert [row[0] for row in index.recommend(index.user_ids, 1)[0]] == best.tolist()
    expected = recq.pack(users, items, bits=8).search(range(5), 7)
    assert [row.tolist() for row in index.search(range(5), 7)[0]] == [row.tolist() for row in expected[0]]


def test_wrong_exports_are_one_line(capsys, rng):
    np.save("u.npy", rng.normal(size=(5, 16)))
    np.save("i.npy", rng.normal(size=(9, 16)))
    np.save("three.npy", np.arange(3))
    np.save("objects.npy", np.array([None, "a"], object), allow_pickle=True)
    np.savez("several.npz", a=np.arange(3))
    (text := open("latin.txt", "wb")).write("zoë".encode("latin-1"))
    text.close()
    vectors = ("export", "--output", "x", "--users", "u.npy", "--items", "i.npy")
    check_error(capsys, "vectors need --items", "export", "--output", "x", "--users", "u.npy", "--bits", "1")
    check_error(capsys, "vectors need --bits", *vectors)
    check_error(capsys, "bits is 9", *vectors, "--bits", "9")
    check_error(capsys, "--no-seen belongs to --model", *vectors, "--bits", "1", "--no-seen")
    check_error(capsys, "user_ids are 3, but the codes hold 5 users", *vectors, "--bits", "1", "--user-ids", "three.npy")
    check_error(capsys, "--item-ids belongs to --users", "export", "--output", "x", "--model", "m", "--item-ids", "three.npy")
    check_error(capsys, "file m does not exist", "export", "--output", "x", "--model", "m")
    check_error(capsys, "the folder 'nodir' does not exist", "export", "--output", "nodir/x", "--model", "m")
    for name, text in (("absent.npy", "No such file"), ("objects.npy", "cannot be read as an .npy file"),
                       ("latin.txt", "cannot be read as"), ("several.npz", "holds several arrays")):  # fmt: skip
        check_error(capsys, text, "export", "--output", "x", "--users", name, "--items", "i.npy", "--bits", "1")
    check_error(capsys, "latin.txt cannot be read as text", *vectors, "--bits", "1", "--user-ids", "latin.txt")
    assert not list(paths.results_dir().parent.glob("x*"))


def test_a_model_of_floats_is_packed_when_told_so(capsys):
    events = pd.DataFrame({"who": ["ann", "ann", "bob", "bob", "cid"], "what": ["tea", "rye", "tea", "oil", "oil"]})
    data = recq.Interactions.from_pandas(events, user="who", item="what", fractions=(1.0, 0.0, 0.0))
    recq.build("mf", data, recq.TrainConfig(dim=8, init_std=1.0)).save("mf")
    check_error(capsys, "stores floats; say with how many bits, 1 to 8", "export", "--model", "mf", "--output", "x")
    assert run(capsys, "export", "--model", "mf", "--output", "x", "--bits", "8")[0] == 0
    _, out, _ = run(capsys, "recommend", "x", "--user", "ann", "cid", "--json")
    assert [sorted(answer["items"]) for answer in json.loads(out)] == [["oil"], ["rye", "tea"]]
