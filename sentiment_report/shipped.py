"""The models in `models/`, measured again: with other seeds, and on aclImdb's official split."""

import os
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.pipeline import Pipeline, make_pipeline

import sentiment_helpers as sh
from sentiment_helpers.classifiers import refit
from sentiment_helpers.files import written_whole
from sentiment_helpers.runs import defaults
from sentiment_report.comparisons import scores_table
from sentiment_report.experiments import choosing_rows
from sentiment_report.results_file import ResultsFile

SEEDS = (1, 2, 3)
GLOVE, FIGURES = "glove.6B.50d", ["accuracy", "roc_auc", "loss"]
COLUMNS = ["model", "accuracy", "accuracy 95 %", "roc_auc", "loss", "p (McNemar, Holm)", "source"]
BUNDLED, ACL_IMDB = ({"reviews": name, "glove": GLOVE} for name in ("bundled", "aclImdb"))
SEEDS_RESULTS = ResultsFile("study", BUNDLED, ["model", "random_state", *FIGURES])
OFFICIAL_RESULTS = ResultsFile("official", ACL_IMDB, COLUMNS)


def models(glove: sh.Glove, random_state: int = 1234, verbose: bool = False) -> dict[str, Pipeline]:
    """The untrained models by name, with the notebooks' parameters."""
    words, shared = sh.TokenIds(glove), {"random_state": random_state, "verbose": verbose}
    skip = {n: defaults("2_skip_birnn")[n.upper()] for n in ("num_layers", "skip_connections")}
    return {
        "report's GRU": make_pipeline(sh.MeanEmbedding(glove), sh.BiRNNClassifier(**shared)),
        "bag": make_pipeline(words, sh.BagClassifier(**shared)),
        "plain": make_pipeline(words, sh.WordBiRNNClassifier(glove, **shared)),
        "skip": make_pipeline(words, sh.WordBiRNNClassifier(glove, **skip, **shared)),
    }


def measured(
    chosen: dict[str, Pipeline], train: pd.DataFrame, test: pd.DataFrame, again: bool = False
) -> pd.DataFrame:
    """Train `chosen`, some of `models`, and measure them and their blends with the bag on `test`:
    a row for each, as texts, in the columns of `scores_table`. As in the notebooks, a twentieth
    of `train` chooses the epochs and the weights; with `again`, each model then learns from all of
    it."""
    texts, y, log_odds = train["review"], train["label"].to_numpy(), {}
    learn, choose = choosing_rows(y)
    for name, model in chosen.items():
        X = model[0].fit_transform(texts)
        model[1].fit(X[learn], y[learn], validation=(X[choose], y[choose]))
        _check_finished(model)
        final = _check_finished(refit(model, texts, y)) if again else model
        log_odds[name] = final.decision_function(test["review"])
    for name in [name for name in ("plain", "skip") if name in chosen]:
        blend = sh.blend([(one, chosen[one]) for one in (name, "bag")])
        blend.fit(texts.iloc[choose], y[choose])
        both = np.column_stack([log_odds[name], log_odds["bag"]])  # (N, 2)
        log_odds[f"{name} + bag"] = blend.final_estimator_.decision_function(both)
    positive = {n: expit(values.astype(np.float64)) for n, values in log_odds.items()}
    table = scores_table(positive, test["label"].to_numpy(), against="bag").T
    return table.rename_axis("model").reset_index()


def _check_finished(model: Pipeline) -> Pipeline:
    if model[-1].stopped_ == "interrupted":
        raise KeyboardInterrupt
    return model


def run_seeds(path: str | os.PathLike) -> None:
    """Train the networks of both notebooks with `SEEDS` unless the file `path` contains them.
    Nothing is chosen by these figures of the held-out reviews. Errors as in `ResultsFile`."""
    planned = [{"model": n, "random_state": seed} for seed in SEEDS for n in ("skip", "plain")]
    SEEDS_RESULTS.run_missing(path, _rows_of_seed, planned)


def _rows_of_seed(one: dict) -> list[dict]:
    """Train one of `models` and the bag; their rows, and their blend's. Both networks of a
    seed have the same row for its bag."""
    both = models(sh.load_glove(GLOVE), one["random_state"])
    both = {name: both[name] for name in ("bag", one["model"])}
    table = measured(both, *sh.split_reviews(sh.load_reviews("bundled")))
    table = table.assign(random_state=one["random_state"]).astype(dict.fromkeys(FIGURES, float))
    return table[["model", "random_state", *FIGURES]].to_dict("records")


def run_official(path: str | os.PathLike) -> None:
    """Write a table of the `models`, of two blends and of published figures to the file `path`.
    `ValueError` as in `split_reviews`."""
    with written_whole(path) as temporary:
        temporary.touch()  # a wrong path is refused before any training
        train, test = sh.split_reviews(sh.load_reviews("aclImdb"), official=True)
        chosen = models(sh.load_glove(GLOVE), verbose=True)
        table = measured(chosen, train, test, again=True)
        table["source"] = f"official split; {len(train):,} teach, {len(test):,} test"
        published = pd.read_csv(Path(__file__).with_name("published.csv"), dtype=str)
        table = pd.concat([table, published])[COLUMNS].fillna("")
        OFFICIAL_RESULTS.write(temporary, table.to_dict("records"))
