"""A small notebook that keeps every rule, built in memory; the tests break it one rule at a time."""

from __future__ import annotations

import copy
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def code(source: str, *tags: str, text: str | None = None, png: bool = False, **metadata: object) -> NotebookNode:
    """A code cell with tags, and with printed text or a picture as its output."""
    outputs = [] if text is None else [new_output("stream", name="stdout", text=text)]
    if png:
        outputs.append(new_output("display_data", data={"image/png": PNG, "text/plain": "<Figure>"}))
    return new_code_cell(source, outputs=outputs, metadata={"tags": list(tags)} | metadata)


def good_notebook() -> NotebookNode:
    """Keeps every rule of the lint; nothing in it needs more than the standard library to run, figures apart."""
    cells = [
        new_markdown_cell("# A small notebook\n\nIt adds numbers."),
        code("import math", "setup"),
        code('profile: str = "smoke"\nterms: int = 3', "parameters"),
        code("numbers = list(range(1, terms + 1))", "derived"),
        new_markdown_cell("## 1 Facts"),
        code("print(sum(numbers))", "nbval-check-output", text="6\n"),
        code("print(math.prod(numbers))", "nbval-check-output", text="6\n"),
        code("print(len(numbers))", "nbval-check-output", text="3\n"),
        new_markdown_cell("What is the largest number?"),
        code("answer = None", "exercise"),
        code("answer = max(numbers)", "solution", jupyter={"source_hidden": True}),
        code("def check_largest(value):\n    assert value == terms\n\n\ncheck_largest(answer)"),
        new_markdown_cell("## Summary"),
        code("total = sum(numbers)", "results"),
    ]
    notebook = new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    notebook.metadata["recq"] = {"profile": "smoke"}
    return number(notebook)


def number(notebook: NotebookNode) -> NotebookNode:
    """Execution counts 1..n."""
    for count, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), start=1):
        cell.execution_count = count
    return notebook


def runnable(name: str, *, fails: bool = False, figure_profile: str | None = None) -> NotebookNode:
    """As an author writes it, without outputs: draws a figure, may fail after it, saves its results."""
    notebook = copy.deepcopy(good_notebook())
    notebook.metadata.pop("recq")
    setup = (
        "import matplotlib.pyplot as plt\nimport math\nfrom recq_lib.companion.plotting import save_figure, use_style\n"
        "from recq_lib.companion.notebook import save_results\n%matplotlib inline\nuse_style()"
    )
    drawn = "profile" if figure_profile is None else repr(figure_profile)
    figure = (
        "fig, ax = plt.subplots()\nax.plot(numbers)\n"
        f'save_figure(fig, "line", notebook="{name}", profile={drawn}, source="numbers")\nplt.show()'
    )
    results = f'save_results("{name}", profile=profile, source="numbers", values={{"sum": sum(numbers), "mean": 2.0}})'
    notebook.cells[1].source = setup
    notebook.cells[-1:] = [code(figure), *([code("raise ValueError('deliberate')")] if fails else []), code(results, "results")]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    return notebook


def write(notebook: NotebookNode, path: Path) -> Path:
    """Write it to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path
