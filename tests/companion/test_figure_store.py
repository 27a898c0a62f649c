"""Which figure stays on show, that the manifest survives several writers, and that damage is an error of one line."""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

from recq_lib.companion import figure_store
from recq_lib.errors import RecordError
from recq_lib.io import paths

REAL, STAND_IN = "lastfm (RECQ_DATA_DIR)", "synthetic-50000 (synthetic)"
PROFILES = ("smoke", "quick", "paper")  # from the least to the most worth


def draw(folder: Path, profile: str, source: str, key: str = "n/line", picture: bytes | None = None) -> bytes:
    """A figure whose files say where it came from."""
    content = f"{profile} {source}".encode() if picture is None else picture
    figure_store.save(folder, key, {"png": content, "pdf": content}, figure_store.entry_of(profile, source))
    return content


def shown(folder: Path, key: str = "n/line") -> bytes:
    png, pdf = ((folder / f"{key}.{suffix}").read_bytes() for suffix in ("png", "pdf"))
    assert png == pdf
    return png


class TestSynthetic:
    @pytest.mark.parametrize(
        ("source", "expected"),
        [
            ("synthetic-smoke (synthetic)", True),
            ("left: toy graph; right: synthetic-50000 (synthetic)", True),
            ("synthetic-smoke (records, 3 of 3 runs, 1 seeds)", True),
            ("ml100k (cache), synthetic-50000 (synthetic)", True),
            ("Synthetic graphs, 2 threads", True),
            ("lastfm (RECQ_DATA_DIR)", False),
            ("toy graph", False),
            ("formula", False),
            ("beauty, 39 of 39 runs recorded", False),
            ("photosynthetics (file)", False),
        ],
    )
    def test_from_the_source(self, source: str, expected: bool) -> None:
        assert figure_store.is_synthetic(source) is expected

    def test_committed_figures(self) -> None:
        """The manifest of the project is readable, says of each figure what its source says, and has the files it names."""
        folder = paths.project_root() / "figures"
        entries = figure_store.read_manifest(folder)
        assert entries
        for key, entry in entries.items():
            assert entry["synthetic"] is ("synthetic" in entry["source"].lower()), key
            assert all((folder / f"{key}.{suffix}").is_file() for suffix in ("png", "pdf")), key


class TestWhichStays:
    @pytest.mark.parametrize(("first", "second"), list(product(product(PROFILES, (REAL, STAND_IN)), repeat=2)))
    def test_save_and_publish_agree_with_the_rule(self, tmp_path: Path, first: tuple[str, str], second: tuple[str, str]) -> None:
        """Real data outrank a stand-in whatever the profiles; among equals a lower profile never replaces a higher one."""
        if first[1] != second[1]:
            wins = second[1] == REAL
        else:
            wins = PROFILES.index(second[0]) >= PROFILES.index(first[0])
        old, new = draw(tmp_path / "shown", *first), f"{second[0]} {second[1]}".encode()
        draw(tmp_path / "drawn", *second)
        published, kept = figure_store.publish(tmp_path / "drawn", tmp_path / "shown")
        assert (published, kept) == ((["n/line"], []) if wins else ([], ["n/line"]))
        assert shown(tmp_path / "shown") == (new if wins else old)
        entry = figure_store.read_manifest(tmp_path / "shown")["n/line"]
        assert (entry["profile"], entry["source"]) == (second if wins else first)
        draw(tmp_path / "live", *first)
        draw(tmp_path / "live", *second)
        assert shown(tmp_path / "live") == (new if wins else old)

    def test_entry_without_its_files_holds_nothing_back(self, tmp_path: Path) -> None:
        draw(tmp_path, "paper", REAL)
        (tmp_path / "n" / "line.pdf").unlink()
        new = draw(tmp_path, "smoke", STAND_IN)
        assert shown(tmp_path) == new

    def test_publish_takes_only_the_keys_asked_for(self, tmp_path: Path) -> None:
        for key in ("n/a", "n/b", "m/a"):
            draw(tmp_path / "drawn", "smoke", STAND_IN, key)
        assert figure_store.publish(tmp_path / "drawn", tmp_path / "shown", ["n/b", "absent/a"]) == (["n/b"], [])
        assert list(figure_store.read_manifest(tmp_path / "shown")) == ["n/b"]

    def test_take_over_shows_the_last_run_alone(self, tmp_path: Path) -> None:
        for key in ("n/a", "n/b", "m/a"):
            draw(tmp_path / "out", "paper", REAL, key)
        new = draw(tmp_path / "drawn", "smoke", STAND_IN, "n/b")
        assert figure_store.take_over(tmp_path / "drawn", tmp_path / "out", "n") == ["n/b"]
        assert sorted(figure_store.read_manifest(tmp_path / "out")) == ["m/a", "n/b"]
        assert shown(tmp_path / "out", "n/b") == new and not (tmp_path / "out" / "n" / "a.png").exists()


class TestManifest:
    def test_order_of_profiles(self) -> None:
        assert figure_store.rank("smoke") < figure_store.rank("quick") < figure_store.rank("paper")

    def test_index_says_where_each_came_from(self, tmp_path: Path) -> None:
        draw(tmp_path, "quick", "lastfm (cache)", "02_lightgcn/a")
        draw(tmp_path, "smoke", STAND_IN, "02_lightgcn/b")
        text = (tmp_path / figure_store.INDEX).read_text()
        assert "| [02_lightgcn/a](02_lightgcn/a.png) | quick | lastfm (cache) | no |" in text
        assert f"| [02_lightgcn/b](02_lightgcn/b.png) | smoke | {STAND_IN} | yes |" in text

    def test_index_names_the_protocol_of_runs_in_place_of_the_profile_paper(self, tmp_path: Path) -> None:
        for name, profile in (("a", "paper"), ("b", "quick")):
            entry = figure_store.entry_of(profile, "lastfm", "BACO's protocol")
            figure_store.save(tmp_path, f"05_baco/{name}", {"png": b"", "pdf": b""}, entry)
        text = (tmp_path / figure_store.INDEX).read_text()
        assert "| [05_baco/a](05_baco/a.png) | BACO's protocol | lastfm | no |" in text
        assert "| [05_baco/b](05_baco/b.png) | quick, BACO's protocol | lastfm | no |" in text
        draw(tmp_path, "quick", "lastfm", "05_baco/a")  # the profile, not its name on show, decides what stays
        assert figure_store.read_manifest(tmp_path)["05_baco/a"]["profile"] == "paper"

    def test_committed_index_is_that_of_the_manifest(self, tmp_path: Path) -> None:
        folder = paths.project_root() / "figures"
        figure_store.write_manifest(tmp_path, figure_store.read_manifest(folder))
        for name in (figure_store.INDEX, figure_store.MANIFEST):
            assert (tmp_path / name).read_text() == (folder / name).read_text()

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ("[", "is not JSON"),
            ("\xff", "is not JSON"),
            ("[]", "holds list"),
            ('{"n/line": 3}', "which is int"),
            ('{"n/line": {"profile": "quick"}}', "has the fields profile, but must have profile, source, synthetic, provenance"),
            ("{}|extra", "has the fields extra, profile, provenance, source, synthetic"),
            ("{}|profile", "whose profile is 3"),
            ("{}|profile=full", "whose profile is 'full', but must be one of paper, quick, smoke"),
            ("{}|synthetic", "whose synthetic is 3"),
            ("{}|protocol", "whose protocol is 3, but must be of type str"),
            ("{}|key", "has the entry '../x'"),
        ],
    )
    def test_damage_is_an_error_of_one_line(self, tmp_path: Path, content: str, message: str) -> None:
        entry: dict[str, object] = {"profile": "quick", "source": REAL, "synthetic": False, "provenance": {}}
        base, _, change = content.partition("|")
        if change == "key":
            content = json.dumps({"../x": entry})
        elif change:
            name, _, value = change.partition("=")
            content = json.dumps({"n/line": entry | {name: value or 3}})
        (tmp_path / figure_store.MANIFEST).write_text(content, encoding="latin-1")
        with pytest.raises(RecordError, match=message) as error:
            figure_store.read_manifest(tmp_path)
        assert "\n" not in str(error.value) and "restore it" in str(error.value)
        with pytest.raises(RecordError):
            draw(tmp_path, "quick", REAL)

    def test_an_entry_is_what_was_written_or_an_error(self, tmp_path: Path) -> None:
        """A digit of its source or key, as a flipped bit changes it; entries of earlier versions have no digest and are read."""
        draw(tmp_path, "quick", REAL)
        path = tmp_path / figure_store.MANIFEST
        whole, entries = path.read_text(), figure_store.read_manifest(tmp_path)
        for before, after in (("lastfm", "lastfn"), ("n/line", "n/lime"), ('"quick"', '"paper"'), ('"sha256"', '"sha257"')):
            path.write_text(whole.replace(before, after))
            with pytest.raises(RecordError, match="has the entry"):
                figure_store.read_manifest(tmp_path)
        path.write_text(json.dumps(entries))
        assert figure_store.read_manifest(tmp_path) == entries and "sha256" not in path.read_text().replace("_sha256", "")

    def test_manifest_without_the_file_it_names(self, tmp_path: Path) -> None:
        draw(tmp_path / "drawn", "quick", REAL)
        (tmp_path / "drawn" / "n" / "line.png").unlink()
        with pytest.raises(RecordError, match="names the figure 'n/line', whose files cannot be read"):
            figure_store.publish(tmp_path / "drawn", tmp_path / "shown")


_WRITER = """
import sys
from pathlib import Path
from recq_lib.companion import figure_store

folder, name = Path(sys.argv[1]), sys.argv[2]
entry = figure_store.entry_of("quick", "lastfm (cache)")
for index in range(40):
    content = f"{name} {index}".encode()
    figure_store.save(folder / "shown", f"{name}/figure{index}", {"png": content, "pdf": content}, entry)
    if index % 13 == 0:
        figure_store.save(folder / "shown", "all/same", {"png": content, "pdf": content}, entry)
"""


def test_four_writers_lose_nothing(tmp_path: Path) -> None:
    """4 processes save 40 figures each into one folder, and now and then the same one: every entry and file is there, whole."""
    names = [f"writer{index}" for index in range(4)]
    command = [sys.executable, "-c", _WRITER, str(tmp_path)]
    running = [subprocess.Popen([*command, name], cwd=paths.project_root(), stderr=subprocess.PIPE, text=True) for name in names]
    assert [process.communicate()[1] for process in running] == [""] * 4
    entries = figure_store.read_manifest(tmp_path / "shown")
    assert set(entries) == {f"{name}/figure{index}" for name in names for index in range(40)} | {"all/same"}
    for name, index in product(names, range(40)):
        assert shown(tmp_path / "shown", f"{name}/figure{index}") == f"{name} {index}".encode()
    assert shown(tmp_path / "shown", "all/same") in {f"{name} 39".encode() for name in names}
    assert not [path for path in (tmp_path / "shown").rglob("*") if path.name.startswith(".")]
