"""How fast each stage is against what its users would run otherwise: `make bench`.

`make bench STAGE=vectors` measures one stage and prints it; without STAGE, all of them, one after
another, each in a process of its own, and the answer goes to benchmarks/RESULTS.md.
"""

import argparse
import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.growth import draw, grow, slope
from benchmarks.measure import Line, Run, alone
from benchmarks.stages import STAGES

RESULTS = Path(__file__).with_name("RESULTS.md")
TRIALS = Path(__file__).with_name("TRIALS.md")  # of networks on words in order, kept by hand
HEAD = """| stage | this package | the other side | ratio | memory here | memory there | target |
|---|---|---|---|---|---|---|"""
GROWTH_HEAD = """| stage | seconds | slope | memory |
|---|---|---|---|"""


def main() -> None:
    """Measure, compare, print; write the table where everything was measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("stage", nargs="?", choices=[*STAGES, "growth"])
    chosen = parser.parse_args().stage
    lines, growth = [], []
    print(GROWTH_HEAD if chosen == "growth" else HEAD)
    for name in [chosen] if chosen else [*STAGES, "growth"]:
        if name == "growth":
            runs = alone(grow)
            draw(runs, RESULTS.with_name("growth.png"))
            new = growth = [growth_row(stage, by_rows) for stage, by_rows in runs.items()]
        else:
            new = [row(line) for line in alone(STAGES[name])]
            lines += new
        print(*new, sep="\n", flush=True)
    if chosen is None:
        text = RESULTS_TEMPLATE.format(
            table="\n".join([HEAD, *lines]),
            growth="\n".join([GROWTH_HEAD, *growth]),
            machine=machine(),
            trials=TRIALS.read_text("utf-8"),
        )
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

{growth}

![Time and memory against the number of reviews](growth.png)

{machine}

{trials}"""


def row(line: Line) -> str:
    """A line of the table."""
    there = ratio = memory = "—"
    if line.theirs:
        there, memory = seconds(line.theirs), megabytes(line.theirs)
        ratio = f"**{line.theirs.seconds / line.ours.seconds:.1f} ×**"
    cells = (line.stage, seconds(line.ours), there, ratio, megabytes(line.ours), memory)
    return f"| {' | '.join(cells)} | {line.target} |"


def growth_row(stage: str, by_rows: dict[int, Run]) -> str:
    """A line of the table of growth."""
    times = ", ".join(f"{run.seconds:.2f}" for run in by_rows.values())
    memory = ", ".join(megabytes(run) for run in by_rows.values())
    return f"| {stage} | {times} | {slope(by_rows):.2f} | {memory} |"


def seconds(run: Run) -> str:
    if run.seconds >= 1:
        return f"{run.seconds:.2f} s"
    return f"{run.seconds * 1000:.{0 if run.seconds > 0.01 else 1}f} ms"


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
