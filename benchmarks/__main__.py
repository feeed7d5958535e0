"""Measures how fast each stage is, compared with the usual method: `make bench`.

`make bench STAGE=vectors` measures one stage and prints it. Without STAGE, all stages are measured,
each in a new process, and the tables are written to benchmarks/RESULTS.md.
"""

import argparse
import os
import platform
from importlib.metadata import version
from pathlib import Path

from benchmarks.busy import HEAD as BUSY_HEAD
from benchmarks.busy import busy
from benchmarks.growth import draw, grow, slope
from benchmarks.measure import Line, Run, alone
from benchmarks.stages import STAGES

RESULTS = Path(__file__).with_name("RESULTS.md")
HEAD = """| stage | this package | usual method | ratio | memory | usual memory | target |
|---|---|---|---|---|---|---|"""
GROWTH_HEAD = """| stage | seconds | slope | memory |
|---|---|---|---|"""


def main() -> None:
    """Measure and print one stage; or all stages, and write the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("stage", nargs="?", choices=[*STAGES, "growth", "busy"])
    chosen = parser.parse_args().stage
    lines, growth, beside = [], [], []
    print({"growth": GROWTH_HEAD, "busy": BUSY_HEAD}.get(chosen, HEAD))
    for name in [chosen] if chosen else [*STAGES, "growth", "busy"]:
        if name == "busy":
            new = beside = busy()
        elif name == "growth":
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
            busy="\n".join([BUSY_HEAD, *beside]),
            machine=machine(),
        )
        RESULTS.write_text(text, "utf-8")


RESULTS_TEMPLATE = """# Speed

Written by `make bench`. Each stage checks that both methods give the same results: ids are
identical; values, losses and probabilities differ by at most 1e-5. The usual method is

- the report's recipe (`recipe.py`, `recipe_text.py`): NLTK's tokenizer and the cleaning steps row
  by row, a dictionary of vectors, `DataLoader`, a list of one-layer modules, scikit-learn's figures
  after each epoch; on one thread, which is fastest for networks of this size;
- for GloVe's text file, gensim's `load_word2vec_format(no_header=True)`;
- for words in order, `pack_padded_sequence` and `nn.LSTM(bidirectional=True)`; for scoring them,
  batches of 64 rows in the order of the file, each padded to its longest review.

What takes less than ten seconds runs three times, and the shortest time counts. Memory is the peak
of the first run, beyond what the process used before.

{table}

## Growth

Seconds for 1, 2, 4 and 8 times the bundled reviews, and the slope in a log-log plot: 1 means that
time is proportional to the number of reviews.

{growth}

![Time and memory over the number of reviews](growth.png)

## Beside busy processes

Twice as many processes as cores do nothing but count, while the same work is done in a new process,
started without any environment variable. Of wall time, it gets the share that the system gives it;
the seconds of CPU should hardly grow.

{busy}

{machine}
"""


def row(line: Line) -> str:
    """A row of the table of stages."""
    usual = ratio = memory = "—"
    if line.usual:
        usual, memory = seconds(line.usual), megabytes(line.usual)
        ratio = f"**{line.usual.seconds / line.ours.seconds:.1f} ×**"
    cells = (line.stage, seconds(line.ours), usual, ratio, megabytes(line.ours), memory)
    return f"| {' | '.join(cells)} | {line.target} |"


def growth_row(stage: str, by_rows: dict[int, Run]) -> str:
    """A row of the table of growth."""
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
