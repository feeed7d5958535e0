"""The report's experiments: its figures as a table, and each one run again."""

import sys
import time
from functools import cache
from itertools import product
from pathlib import Path

import pandas as pd
import torch
from joblib import Memory, Parallel, delayed
from sklearn.feature_extraction.text import CountVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from torch import Tensor
from tqdm import tqdm

from sentiment_helpers.classifiers.birnn import BiRNNClassifier
from sentiment_helpers.metrics import intervals

REPORT_REVIEWS = 45_008
INPUT_WEIGHTS = "forward_stack.*weight_ih"  # names of the forward stack's input weights
FIGURES = ("loss", "precision", "recall", "f1", "accuracy", "roc_auc")


@cache
def report_table() -> pd.DataFrame:
    """The report's own figures, of the last epoch: a row for each experiment, by its name. Column
    `notebook` is "plain" (six networks), "skip" (four) or "earlier" (two earlier assignments); or
    "control", four networks that the report lacks: as deep as its others, counted in weights."""
    types = {"num_layers": "Int64", "hidden_size": "Int64", "skip_connections": "boolean"}
    path = Path(__file__).with_name("report_results.csv")
    return pd.read_csv(path, index_col="experiment", dtype=types)


def report_rows(notebook: str) -> list[str]:
    """The names of the rows of `report_table` with this `notebook`."""
    return report_table().query("notebook == @notebook").index.tolist()


def classifier(name: str, **changes) -> BiRNNClassifier:
    """An untrained classifier with the parameters in a row of `report_table`, and `changes`. It
    trains on the CPU: for networks this small, a GPU takes twice as long."""
    (parameters,) = report_table().loc[[name], "cell_type":"lr"].to_dict("records")
    return BiRNNClassifier(**{"device": "cpu"} | parameters | changes)


def run(name: str, train: tuple, valid: tuple, **changes) -> dict:
    """Train `classifier(name, **changes)` on `train` and measure it on `valid`, both (features,
    labels): a row of `run_all`. The same arguments give the same values, except for `seconds`.
    `KeyboardInterrupt` also where the training, interrupted after an epoch, kept the best one."""
    start = time.perf_counter()
    fitted = classifier(name, **changes).fit(*train, validation=valid)
    seconds = time.perf_counter() - start
    if fitted.stopped_ == "interrupted":
        raise KeyboardInterrupt
    best, positive = fitted.history_.loc[fitted.best_epoch_], fitted.predict_proba(valid[0])[:, 1]
    return {
        "experiment": name,
        "title": fitted.title + (f", dropout {fitted.dropout}" if name.endswith("light") else ""),
        "random_state": fitted.random_state,
        "epochs": len(fitted.history_),
        "best epoch": fitted.best_epoch_,
        "seconds": round(seconds, 1),
        **best.filter(regex="train_|valid_"),
        "interval": intervals(valid[1], positive)["accuracy"],
        "predicted": (positive > 0.5).astype(int),
    }


def run_all(
    once: list[str],
    repeated: list[str],
    train: tuple,
    valid: tuple,
    seeds: list[int],
    memory: Memory,
    **changes,
) -> pd.DataFrame:
    """`run` each row with the first seed, and the `repeated` rows with the others, too: in parallel
    on all cores, with a progress bar. joblib distributes the work: to a Dask cluster inside
    `joblib.parallel_config(backend="dask")`. `memory` keeps each result as soon as it is there.

    Columns: `experiment`, the row of `report_table`; `title`, the network in a few words;
    `random_state`, `epochs`, `best epoch`, `seconds`; `train_` and `valid_` `FIGURES` of the best
    epoch; `interval`, 95 %, of the validation accuracy; `predicted`, (N,) of 0 and 1 for its rows.
    """
    kept = memory.cache(run)
    pairs = [*product(seeds[:1], once), *product(seeds[1:], repeated)]
    jobs = [delayed(kept)(name, train, valid, random_state=seed, **changes) for seed, name in pairs]
    if known := sum(kept.check_call_in_cache(*job, **options) for _, job, options in jobs):
        print(f"{known} of {len(jobs)} trainings: kept from an earlier run")
    return pd.DataFrame(in_parallel(jobs, "training"))


def in_parallel(jobs: list, unit: str) -> list:
    """The results of joblib's `jobs`, computed on all cores, with a progress bar."""
    # Without `max_nbytes` workers would get other kinds of arrays, which count as other arguments.
    results = Parallel(n_jobs=-1, return_as="generator", max_nbytes=None)(jobs)
    return [*tqdm(results, total=len(jobs), unit=unit, file=sys.stdout, dynamic_ncols=True)]


def gradient_norms(network: torch.nn.Module, inputs: Tensor, labels: Tensor) -> dict[str, float]:
    """The norm of the loss's gradient in each weight of `network`, by the weight's name, for one
    batch without dropout. Weights and their gradients do not change."""
    network.eval()
    names, weights = zip(*network.named_parameters(), strict=True)
    loss = torch.nn.functional.binary_cross_entropy_with_logits(network(inputs), labels)
    # A weight that the loss does not depend on has a gradient of exactly zero.
    gradients = torch.autograd.grad(loss, weights, materialize_grads=True)
    return {name: g.norm().item() for name, g in zip(names, gradients, strict=True)}


def tfidf_logistic_regression() -> Pipeline:
    """The report's first assignment, on texts."""
    regression = LogisticRegression(
        C=0.8, class_weight="balanced", max_iter=500, solver="saga", random_state=1234
    )
    return make_pipeline(CountVectorizer(), TfidfTransformer(), regression)


def tfidf_pairs() -> Pipeline:
    """The same with word pairs, and the settings that suit them: the logarithm of counts, only what
    two reviews contain, and weaker regularisation."""
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True)
    return make_pipeline(vectorizer, LogisticRegression(C=30.0, max_iter=200))
