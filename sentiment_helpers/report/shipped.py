"""The models in `models/`, measured again: with other seeds, and on aclImdb's official split."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import delayed
from scipy.special import expit
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

import sentiment_helpers as sh
from sentiment_helpers.report.comparisons import scores_table
from sentiment_helpers.report.results_file import read_results, run_jobs, write_results
from sentiment_helpers.storage.files import written_whole

SEEDS = (1, 2, 3)
BUNDLED, OFFICIAL = ({"reviews": r, "glove": "glove.6B.50d"} for r in ("bundled", "aclImdb"))
FIGURES = ["accuracy", "roc_auc", "loss"]
COLUMNS = ["model", "accuracy", "accuracy 95 %", "roc_auc", "loss", "p (McNemar, Holm)", "source"]
LLMS = "another split; github.com/rasbt/LLMs-from-scratch"  # ch06/03_bonus_imdb-classification
PUBLISHED = [
    ("NB-SVM (Wang and Manning 2012)", "0.9122", "official split; github.com/mesnilgr/nbsvm"),
    ("BERT, fine-tuned", "0.9089", LLMS),
    ("GPT-2 (124M), fine-tuned", "0.9188", LLMS),
    ("RoBERTa (355M), last block fine-tuned", "0.9295", LLMS),
]


def models(glove: sh.Glove, random_state: int = 1234) -> dict[str, Pipeline]:
    """The untrained models by name, with the notebooks' parameters."""
    words, seed = sh.TokenIds(glove), {"random_state": random_state}
    skip = {"num_layers": 3, "skip_connections": True}
    return {
        "report's GRU": make_pipeline(sh.MeanEmbedding(glove), sh.BiRNNClassifier(**seed)),
        "bag": make_pipeline(words, sh.BagClassifier(**seed)),
        "plain": make_pipeline(words, sh.WordBiRNNClassifier(glove, **seed)),
        "skip": make_pipeline(words, sh.WordBiRNNClassifier(glove, **skip, **seed)),
    }


def measured(
    chosen: dict[str, Pipeline],
    train: pd.DataFrame,
    test: pd.DataFrame,
    again: bool = False,
    verbose: bool = False,
) -> pd.DataFrame:
    """Train `chosen`, some of `models`, and measure them and their blends with the bag on `test`:
    a row for each, as texts, in the columns of `scores_table`. As in the notebooks, a twentieth
    of `train` chooses the epochs and the weights; with `again`, each model then learns from all of
    it."""
    texts, y, rows = train["review"], train["label"].to_numpy(), np.arange(len(train))
    learn, choose = train_test_split(rows, test_size=0.05, stratify=y, random_state=1234)
    readers = {model[0] for model in chosen.values()}  # several models share one
    inputs, final = {reader: reader.fit_transform(texts) for reader in readers}, {}
    for name, model in chosen.items():
        features, classifier = model[0], model[1].set_params(verbose=verbose)
        X = inputs[features]
        final[name] = classifier.fit(X[learn], y[learn], validation=(X[choose], y[choose]))
        _check_finished(classifier)
        if again:
            final[name] = classifier.refit(X, y)
            _check_finished(final[name])
    test_inputs = {reader: reader.transform(test["review"]) for reader in readers}
    log_odds = {n: c.decision_function(test_inputs[chosen[n][0]]) for n, c in final.items()}
    for name in [name for name in ("plain", "skip") if name in chosen]:
        pair = [(one, chosen[one]) for one in (name, "bag")]
        blend = sh.Blend(pair).fit(texts.iloc[choose], y[choose])
        log_odds[blend.title] = blend.combine(np.column_stack([log_odds[name], log_odds["bag"]]))
    positive = {n: expit(values.astype(np.float64)) for n, values in log_odds.items()}
    table = scores_table(positive, test["label"].to_numpy(), against="bag").T
    return table.rename_axis("model").reset_index()


def run_seeds(path: str | os.PathLike) -> None:
    """Train the networks of both notebooks with `SEEDS` unless the file `path` contains them, in
    parallel on all cores, and write the file after each one. Nothing is chosen by these figures of
    the held-out reviews. Errors as in `results_file`."""
    done = read_seeds(path).to_dict("records") if Path(path).exists() else []
    finished = [(one["model"], one["random_state"]) for one in done]
    write_results(path, BUNDLED, done)  # fails now, not after the first training
    sets = sh.split_reviews(sh.load_reviews(BUNDLED["reviews"]))
    jobs = [(name, seed) for seed in SEEDS for name in ("skip", "plain")]
    jobs = [delayed(_rows_of_seed)(*job, *sets) for job in jobs if job not in finished]
    run_jobs(path, BUNDLED, done, jobs)  # both networks of a seed have a row for its bag


def _rows_of_seed(name: str, random_state: int, train: pd.DataFrame, test: pd.DataFrame) -> list:
    """Train one of `models` and the bag; their rows, and their blend's, of `read_seeds`."""
    both = models(sh.load_glove(BUNDLED["glove"]), random_state)
    table = measured({one: both[one] for one in ("bag", name)}, train, test)
    table = table.assign(random_state=random_state).astype(dict.fromkeys(FIGURES, float))
    return table[["model", "random_state", *FIGURES]].to_dict("records")


def read_seeds(path: str | os.PathLike) -> pd.DataFrame:
    """`FIGURES` of each `model` and `random_state` in a file from `run_seeds`; see
    `read_results`."""
    return read_results(path, BUNDLED, ["model", "random_state", *FIGURES], "study")


def run_official(path: str | os.PathLike) -> None:
    """Write a table of the `models`, of two blends and of what was `PUBLISHED` to the file `path`.
    `ValueError` as in `split_reviews`."""
    with written_whole(path) as temporary:
        temporary.touch()  # a wrong path is refused before any training
        train, test = sh.split_reviews(sh.load_reviews(OFFICIAL["reviews"]), official=True)
        chosen = models(sh.load_glove(OFFICIAL["glove"]))
        table = measured(chosen, train, test, again=True, verbose=True)
        table["source"] = f"official split; {len(train):,} teach, {len(test):,} test"
        published = pd.DataFrame(PUBLISHED, columns=["model", "accuracy", "source"])
        table = pd.concat([table, published])[COLUMNS].fillna("")
        write_results(temporary, OFFICIAL, table.to_dict("records"))


def read_official(path: str | os.PathLike) -> pd.DataFrame | None:
    """The table in a file from `run_official`, as texts; None without such a file. See
    `read_results`."""
    table = read_results(path, OFFICIAL, COLUMNS, "official").set_index("model")
    return None if table.empty else table


def _check_finished(classifier) -> None:
    if classifier.stopped_ == "interrupted":
        raise KeyboardInterrupt
