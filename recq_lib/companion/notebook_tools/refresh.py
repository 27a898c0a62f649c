"""Bring a committed notebook up to date: execute it, tidy it, record what it was made from; compare its numbers later."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbformat import NotebookNode
from PIL import Image

from recq_lib.companion.environment import versions
from recq_lib.companion.figure_store import write_text
from recq_lib.companion.notebook_tools import freshness
from recq_lib.companion.notebook_tools.execute import CELL_SECONDS, environment, error_of, execute, private_folders
from recq_lib.companion.notebook_tools.sources import parameters, read
from recq_lib.io import paths

_CELL_NOISE = ("papermill", "execution", "collapsed", "ExecuteTime")


def tidy(notebook: NotebookNode) -> None:
    """Remove what differs between executions or belongs to one machine; set kernel, format and cell ids. In place."""
    for key in list(notebook.metadata):
        if key not in ("recq", "title", "authors"):
            del notebook.metadata[key]
    notebook.metadata["kernelspec"] = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}
    notebook.metadata["language_info"] = {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"}
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    seen: dict[str, int] = {}
    for cell in notebook.cells:
        for key in _CELL_NOISE:
            cell.metadata.pop(key, None)
        if not cell.metadata.get("tags", True):
            del cell.metadata["tags"]
        # from the source, so that ids survive re-generation of the file and reordering of cells
        stem = hashlib.sha256(cell.source.encode("utf-8")).hexdigest()[:8]
        seen[stem] = seen.get(stem, 0) + 1
        cell["id"] = stem if seen[stem] == 1 else f"{stem}-{seen[stem]}"
        if cell.cell_type == "code":
            cell.outputs = _join_streams(cell.outputs)
            for output in cell.outputs:
                if "image/png" in output.get("data", {}):
                    output.data["image/png"] = small_png(output.data["image/png"])


def small_png(text: str) -> str:
    """The same picture (base64) with a palette of 256 colours: a chart has few, and the file shrinks to a third."""
    picture = Image.open(io.BytesIO(base64.b64decode(text)))
    if picture.mode == "P":
        return text
    paper = Image.new("RGB", picture.size, "white")
    paper.paste(picture, mask=picture.getchannel("A") if "A" in picture.getbands() else None)
    buffer = io.BytesIO()
    paper.quantize(256, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(
        buffer, "png", optimize=True, dpi=picture.info.get("dpi")
    )
    return base64.b64encode(buffer.getvalue()).decode("ascii") + "\n"


def _join_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Neighbouring pieces of one stream as one: where the kernel cut them is chance."""
    joined: list[NotebookNode] = []
    for output in outputs:
        last = joined[-1] if joined else None
        if last is not None and output.output_type == last.output_type == "stream" and output.name == last.name:
            last.text += output.text
        else:
            joined.append(output)
    return joined


def refresh(path: Path) -> str:
    """Re-execute a committed notebook in place with its default parameters; returns "" or what went wrong.

    It runs without `RECQ_DATA_DIR`, cache and internet (so the output is that of synthetic data, equal for everyone) and
    touches neither figures nor `out/`. After an error the source is left alone and the executed copy goes to `build/refresh/`.
    """
    before = read(path)
    with private_folders() as (folder, variables):
        executed, log = folder / path.name, folder / "log.txt"
        outcome = execute(path, executed, env=environment(**variables), cell_seconds=CELL_SECONDS["smoke"], cwd=path.parent, log=log)
        if outcome.returncode != 0:
            keep = paths.project_root() / "build" / "refresh" / path.name
            keep.parent.mkdir(parents=True, exist_ok=True)
            if executed.exists():
                shutil.copyfile(executed, keep)
            return error_of(executed) or log.read_text(encoding="utf-8")[-500:]
        notebook = read(executed)
        params = parameters(path)
        notebook.metadata["recq"] = {
            "profile": str(params.get("profile", "smoke")),
            **freshness.hashes(before),
            "params": params,
            "versions": versions(),
            "results": _results(folder / "out", path.stem),
        }
    tidy(notebook)
    nbformat.validate(notebook)
    write_text(path, nbformat.writes(notebook).rstrip("\n") + "\n")
    return ""


def _results(out: Path, name: str) -> dict[str, Any]:
    for found in sorted(out.glob(f"*/{name}.json")):
        document = json.loads(found.read_text(encoding="utf-8"))
        return {key: document[key] for key in ("source", "values", "tolerances")}
    return {}


def deviations(reference: Mapping[str, Any], values: Mapping[str, float]) -> list[str]:
    """Where `values` leaves the tolerances stored with the committed copy, one line each.

    reference : `metadata.recq.results`. Without a tolerance integers must be equal and other numbers agree within 5 %.
    """
    expected, limits = reference.get("values", {}), reference.get("tolerances", {})
    found = [f"{name}: committed, but no longer written" for name in expected if name not in values]
    found += [f"{name}: written, but not in the committed copy" for name in values if name not in expected]
    for name in expected.keys() & values.keys():
        wanted, got = expected[name], values[name]
        limit = limits.get(name, 0.0 if isinstance(wanted, int) else 0.05 * abs(wanted))
        if not abs(got - wanted) <= limit:
            found.append(f"{name}: {got!r}, committed {wanted!r}, allowed deviation {limit:g}")
    return sorted(found)
