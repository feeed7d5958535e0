"""The models in `models/`: trained, with other seeds, and measured on aclImdb's test half."""

import hashlib
import os
from itertools import product
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from scipy.special import expit
from sklearn.pipeline import Pipeline, make_pipeline

import sentiment_helpers as sh
from sentiment_helpers.runs import defaults
from sentiment_helpers.text import NEGATIONS
from sentiment_report.comparisons import scores_table
from sentiment_report.results_file import ResultsFile

FILES = {"plain": "RNN.pt", "skip": "RNNSkip.pt"}
SEEDS, GLOVE, FIGURES = (1, 2), "glove.6B.50d", ["accuracy", "roc_auc", "loss"]
COLUMNS = ["reviews", "model", "accuracy", "accuracy 95 %", "roc_auc", "loss", "p (McNemar, Holm)"]
COLUMNS += ["source", "sha256"]
BUNDLED = {"reviews": "bundled", "glove": GLOVE}
SEEDS_RESULTS = ResultsFile("study", BUNDLED, ["model", "split", "random_state", *FIGURES])
OFFICIAL_RESULTS = ResultsFile("official", {"files": [*FILES.values()]}, COLUMNS)


def trained(name: str, train: pd.DataFrame, seed: int = 1234, verbose: bool = False) -> Pipeline:
    """The blend of the network "plain" or "skip" and the bag that learned from the reviews `train`,
    with the notebooks' parameters: a twentieth of these chooses the epochs and the weights.
    `KeyboardInterrupt` where a training was stopped."""
    glove, bag = sh.load_glove(GLOVE), sh.BagClassifier()
    skip = {n: defaults("2_skip_birnn")[n.upper()] for n in ("num_layers", "skip_connections")}
    options = {"random_state": seed, "verbose": verbose} | (skip if name == "skip" else {})
    network = sh.WordBiRNNClassifier(glove, **options)
    reader, y = sh.TokenIds(glove), train["label"].to_numpy()
    X = reader.fit_transform(train["review"])
    learn, choose = sh.film_parts(train, 0.05, seed)
    network.fit(X[learn], y[learn], validation=(X[choose], y[choose]))
    if network.stopped_ == "interrupted":
        raise KeyboardInterrupt
    blend = sh.blend([("network", network), ("bag", bag.fit(X[learn], y[learn]))])
    return make_pipeline(reader, blend.fit(X[choose], y[choose]))


def run_seeds(path: str | os.PathLike) -> None:
    """Train the networks of both notebooks with `SEEDS` unless the file `path` contains them; and
    one on the report's random split. Nothing is chosen by these figures of the held-out reviews.
    Errors as in `ResultsFile`."""
    planned = [{"model": "plain", "split": "random", "random_state": SEEDS[0]}]
    for seed, name in product(SEEDS, FILES):
        planned.append({"model": name, "split": "films", "random_state": seed})
    SEEDS_RESULTS.run_missing(path, _rows_of_seed, planned)


def _rows_of_seed(one: dict) -> list[dict]:
    """Train one of the networks and the bag; their rows, and their blend's. Both networks of a
    seed have the same row for its bag."""
    train, valid = sh.split_reviews(sh.load_reviews("bundled"), films=one["split"] == "films")
    blends = {one["model"]: trained(one["model"], train, one["random_state"])}
    table = scores_table(_read(blends, valid), valid["label"], "bag").T[FIGURES].astype(float)
    return [one | {"model": name} | row for name, row in table.to_dict("index").items()]


def _read(blends: dict[str, Pipeline], reviews: pd.DataFrame) -> pd.DataFrame:
    """The probabilities that `blends` and their members give `reviews`, a column for each."""
    positive = pd.DataFrame(index=reviews.index)
    for name, (reader, blend) in blends.items():
        log_odds = blend.transform(reader.transform(reviews["review"]))  # (N, members)
        positive[[name, "bag"]] = expit(log_odds)
        positive[f"{name} + bag"] = expit(blend.final_estimator_.decision_function(log_odds))
    return positive


def run_models(folder: str | os.PathLike) -> None:
    """Train the models of both notebooks on the bundled reviews, side by side, into `folder`."""
    reviews = sh.load_reviews("bundled")
    jobs = [delayed(trained)(name, reviews, verbose=True) for name in FILES]
    models = Parallel(n_jobs=-1, return_as="generator")(jobs)
    for file, model in zip(FILES.values(), models, strict=True):
        sh.save(model, Path(folder) / file)


def run_official(path: str | os.PathLike) -> None:
    """Score the model files beside the file `path` on reviews that taught none of them: aclImdb's
    test half, and short sentences. Their figures, and published ones, go to `path`. Errors as in
    `load` and `load_reviews`."""
    files = {name: Path(path).with_name(file) for name, file in FILES.items()}
    blends = {name: sh.load(file) for name, file in files.items()}
    half, sentences = sh.load_reviews("aclImdb"), sh.load_reviews("sentences")
    half = half[half["half"] == "test"]
    negated = [not NEGATIONS.isdisjoint(sh.tokens(text)) for text in sentences["review"]]
    positive, label = _read(blends, sentences), sentences["label"]
    tables = {
        "official half": scores_table(_read(blends, half), half["label"], "bag", half.get("film")),
        "sentences": scores_table(positive, label, "bag"),
        "sentences with a negation": scores_table(positive[negated], label[negated], "bag"),
    }
    table = pd.concat(tables, axis=1, names=["reviews", "model"]).T.reset_index()
    table["source"] = table["model"].str.split().str[0].map(FILES)
    hashes = {FILES[n]: hashlib.sha256(file.read_bytes()).hexdigest() for n, file in files.items()}
    table["sha256"] = table["source"].map(hashes)
    published = pd.read_csv(Path(__file__).with_name("published.csv"), dtype=str)
    rows = pd.concat([table, published])[COLUMNS].fillna("")
    OFFICIAL_RESULTS.write(path, rows.to_dict("records"))
