"""Measures how time and memory grow with the data: 1 to 8 times the bundled reviews."""

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import sentiment_helpers as sh
from benchmarks.measure import Run, alone, measured
from benchmarks.stages import MODELS, bundled
from sentiment_helpers.plots import COLOURS
from sentiment_report import experiments

FACTORS = (1, 2, 4, 8)
MARKERS = "osD"


def grow(rows: int | None = None) -> dict[str, dict[int, Run]]:
    """The `Run` of each stage, by the number of reviews."""
    once = bundled(rows)
    embedding = sh.MeanEmbedding(sh.load_glove()).fit(once["review"])
    runs = {"reviews → mean vectors": {}, "scoring a file": {}, "a training epoch": {}}
    with TemporaryDirectory() as folder:
        source = Path(folder) / "reviews.csv"
        for factor in FACTORS:
            reviews = pd.concat([once] * factor, ignore_index=True)
            texts, y = reviews["review"], reviews["label"].to_numpy()
            X, vectors = measured(lambda texts=texts: embedding.transform(texts))
            reviews[["review"]].to_csv(source, index=False)
            classifier = experiments.classifier("gru-5", max_epochs=3)
            classifier.fit(X, y, validation=(X[:1000], y[:1000]))
            epoch = Run(classifier.history_["seconds"].min(), None)
            new_runs = (vectors, alone(score, source), epoch)
            for by_rows, run in zip(runs.values(), new_runs, strict=True):
                by_rows[len(reviews)] = run
    return runs


def score(source: Path) -> Run:
    """Score a file with the report's model."""
    model = sh.load(MODELS / "RNN-report.pt")
    scored = source.with_suffix(".scored")
    return measured(lambda: sh.score_csv(model, source, scored, overwrite=True))[1]


def slope(runs: dict[int, Run]) -> float:
    """The exponent k in seconds ∝ rowsᵏ; 1 means that time is proportional to the rows."""
    seconds = [run.seconds for run in runs.values()]
    return float(np.polyfit(np.log(list(runs)), np.log(seconds), 1)[0])


def draw(runs: dict[str, dict[int, Run]], path: Path) -> None:
    """Seconds over reviews on logarithmic axes, and the memory of scoring a file."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for (name, by_rows), colour, marker in zip(runs.items(), COLOURS, MARKERS, strict=False):
        left.loglog(
            by_rows.keys(),
            [run.seconds for run in by_rows.values()],
            color=colour,
            marker=marker,
            label=f"{name}: slope {slope(by_rows):.2f}",
        )
    left.set(xlabel="reviews", ylabel="seconds", title="Time")
    left.set_ylim(top=4 * max(run.seconds for run in runs["scoring a file"].values()))
    left.legend(loc="upper left")
    by_rows = runs["scoring a file"]
    memory = [(run.memory or np.nan) / 1e6 for run in by_rows.values()]
    right.plot(by_rows.keys(), memory, color=COLOURS[1], marker=MARKERS[1])
    right.set(xlabel="reviews", ylabel="MB", title="Memory of scoring a file")
    right.set_xscale("log")
    right.set_ylim(bottom=0)
    for ax in (left, right):
        sizes = list(by_rows)
        ax.set_xticks(sizes, [f"{size:,}" for size in sizes])
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
    plt.close(figure)
