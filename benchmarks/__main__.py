"""How fast each stage is against what its users would run otherwise: `make bench`.

`make bench STAGE=vectors` measures one stage and prints it; without STAGE, all of them, one after
another, each in a process of its own, and the answer goes to benchmarks/RESULTS.md.
"""

import argparse
import multiprocessing
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from importlib.metadata import version
from pathlib import Path

from benchmarks.growth import draw, grow, slope
from benchmarks.stages import STAGES, Line, Run

RESULTS = Path(__file__).with_name("RESULTS.md")
TRIALS = Path(__file__).with_name("TRIALS.md")  # of networks on words in order, kept by hand
HEAD = """| stage | this package | the other side | ratio | memory here | memory there | target |
|---|---|---|---|---|---|---|"""


def main() -> None:
    """Measure, compare, print; write the table where everything was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("stage", nargs="?", choices=[*STAGES, "growth"])
    chosen = parser.parse_args().stage
    lines = []
    for name in [chosen] if chosen else STAGES:
        if name in STAGES:
            lines += map(row, alone(STAGES[name]))
            print(*lines[len(lines) and -1 :], sep="\n", flush=True)
    runs = alone(grow) if chosen in (None, "growth") else {}
    if runs:
        draw(runs, RESULTS.with_name("growth.png"))
    growth = [
        f"| {name} | {', '.join(f'{run.seconds:.2f}' for run in by_rows.values())} | "
        f"{slope(by_rows):.2f} | {', '.join(megabytes(run) for run in by_rows.values())} |"
        for name, by_rows in runs.items()
    ]
    text = RESULTS_TEMPLATE.format(
        table="\n".join([HEAD, *lines]), growth="\n".join(growth), machine=machine(),
        trials=TRIALS.read_text("utf-8"),
    )  # fmt: skip
    print(text if chosen is None else "\n".join([HEAD, *lines] if lines else growth))
    if chosen is None:
        RESULTS.write_text(text, "utf-8")


RESULTS_TEMPLATE = """# Speed

Written by `make bench`. Before anything is compared, both sides are shown to compute the same:
ids are identical, values, losses and probabilities differ by 1e-5 at most. The other side is the
report's recipe (`recipe.py`, `recipe_text.py`: NLTK's tokenizer and the cleaning steps on each row,
a dictionary of vectors, `DataLoader`, a list of one-layer modules, scikit-learn's figures each
epoch; one thread, at which it is fastest on networks this small); gensim's
`load_word2vec_format(no_header=True)` for GloVe's text; `pack_padded_sequence` and
`nn.LSTM(bidirectional=True)` for words in order; and for scoring word by word, batches of 64 in the
order of the file, padded to their longest review. What takes less than ten seconds is run three
times, and the least time counts. Memory is what the first run took at most beyond what was there
before.

{table}

## Growth

Seconds at 1, 2, 4 and 8 times the bundled reviews, and the slope of their logarithms: 1 is a
straight line.

| stage | seconds | slope | memory |
|---|---|---|---|
{growth}

![Time and memory against the number of reviews](growth.png)

{machine}

{trials}"""


def alone(function):
    """What `function` returns in a process of its own, where no stage before it left anything."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as process:
        return process.submit(function).result()


def row(line: Line) -> str:
    """A line of the table."""
    there = ratio = memory = "—"
    if line.theirs:
        there, memory = seconds(line.theirs), megabytes(line.theirs)
        ratio = f"**{line.theirs.seconds / line.ours.seconds:.1f} ×**"
    cells = (line.stage, seconds(line.ours), there, ratio, megabytes(line.ours), memory)
    return f"| {' | '.join(cells)} | {line.target} |"


def seconds(run: Run) -> str:
    return f"{run.seconds:.2f} s" if run.seconds >= 1 else f"{run.seconds * 1000:.0f} ms"


def megabytes(run: Run) -> str:
    return "—" if run.memory is None else f"{run.memory / 1e6:.0f} MB"


def machine() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    packages = ("torch", "numpy", "scikit-learn", "pyarrow", "nltk", "gensim")
    versions = ", ".join(f"{package} {version(package)}" for package in packages)
    return f"{os.cpu_count()} cores of {name}; Python {platform.python_version()}, {versions}."


if __name__ == "__main__":
    main()
