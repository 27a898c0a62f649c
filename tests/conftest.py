"""Shared by all tests: no window, no leftover figures, no writing into the project, real data only where they are present."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from hypothesis import settings

with contextlib.suppress(ImportError):  # before infomap: both bring SWIG's types, and infomap crashes where faiss comes second
    import faiss  # noqa: F401

matplotlib.use("Agg")
# the same examples on every run, and no limit on the time of one: both would make a green test red by chance
settings.register_profile("recq", deadline=None, derandomize=True)
settings.load_profile("recq")


def pytest_configure(config: pytest.Config) -> None:
    """Workers of a parallel run take the tests in the order given, not the files with the most tests first."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Slow tests come first, so that no worker starts a long one when the others are done."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(scope="session", autouse=True)
def private_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Figures, executed copies, cache and checkpoints of the tests go to a temporary folder; bars are off. Records are the project's."""
    folder = tmp_path_factory.mktemp("recq")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("FIGURES", "OUT", "CACHE", "CHECKPOINTS"):
            patch.setenv(f"RECQ_{name}_DIR", str(folder / name.lower()))
        patch.delenv("RECQ_RESULTS_DIR", raising=False)
        patch.setenv("RECQ_PROGRESS", "0")
        yield


@pytest.fixture(autouse=True)
def close_figures() -> Iterator[None]:
    """No figure outlives its test."""
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def real_dataset() -> Callable[[str], Path]:
    """`real_dataset("beauty")` is the dataset's file in `RECQ_DATA_DIR`; skips the test, saying why, when it is absent."""
    from recq_lib.data.catalogue import CATALOGUE

    def find(name: str) -> Path:
        folder = os.environ.get("RECQ_DATA_DIR")
        if not folder:
            pytest.skip(f"needs the real dataset {name}: RECQ_DATA_DIR is not set")
        for file in CATALOGUE[name].npz_names:
            path = Path(folder).expanduser() / file
            if path.exists():
                return path
        pytest.skip(f"needs the real dataset {name}: {CATALOGUE[name].npz_names[0]} is not in RECQ_DATA_DIR")

    return find
