"""The official split of aclImdb: models learn from one half, and are measured once on the other."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.special import expit
from sklearn.model_selection import train_test_split
from sklearn.pipeline import Pipeline, make_pipeline

import sentiment_helpers as sh
from sentiment_helpers.report.comparisons import scores_table
from sentiment_helpers.storage.files import FileError, written_whole

DATA = {"reviews": "aclImdb", "glove": "glove.6B.50d"}
COLUMNS = ["model", "accuracy", "accuracy 95 %", "roc_auc", "loss", "p (McNemar, Holm)", "source"]
LLMS = "another split; github.com/rasbt/LLMs-from-scratch"  # ch06/03_bonus_imdb-classification
PUBLISHED = [
    ("NB-SVM (Wang and Manning 2012)", "0.9122", "official split; github.com/mesnilgr/nbsvm"),
    ("BERT, fine-tuned", "0.9089", LLMS),
    ("GPT-2 (124M), fine-tuned", "0.9188", LLMS),
    ("RoBERTa (355M), last block fine-tuned", "0.9295", LLMS),
]
_log = logging.getLogger(__name__)


def models(glove: sh.Glove) -> dict[str, Pipeline]:
    """The untrained models by name, with the notebooks' parameters."""
    words, skip = sh.TokenIds(glove), {"num_layers": 3, "skip_connections": True}
    return {
        "report's GRU": make_pipeline(sh.MeanEmbedding(glove), sh.BiRNNClassifier()),
        "bag": make_pipeline(words, sh.BagClassifier()),
        "plain": make_pipeline(words, sh.WordBiRNNClassifier(glove)),
        "skip": make_pipeline(words, sh.WordBiRNNClassifier(glove, **skip)),
    }


def run_official(path: str | os.PathLike) -> None:
    """Train the `models`, and write a table of them, of two blends and of what was `PUBLISHED` to
    the file `path`. As in the notebooks, a twentieth of the training half chooses the epochs and
    the weights; then each model learns from all of it. `ValueError` as in `split_reviews`."""
    with written_whole(path) as temporary:
        temporary.touch()  # a wrong path is refused before any training
        train, test = sh.split_reviews(sh.load_reviews(DATA["reviews"]), official=True)
        texts, y, rows = train["review"], train["label"].to_numpy(), np.arange(len(train))
        learn, choose = train_test_split(rows, test_size=0.05, stratify=y, random_state=1234)
        chosen, final = models(sh.load_glove(DATA["glove"])), {}
        readers = {model[0] for model in chosen.values()}  # three models share one
        inputs = {reader: reader.fit_transform(texts) for reader in readers}
        for name, model in chosen.items():
            features, classifier = model[0], model[1].set_params(verbose=True)
            X = inputs[features]
            _finished(classifier.fit(X[learn], y[learn], validation=(X[choose], y[choose])))
            final[name] = make_pipeline(features, _finished(classifier.refit(X, y)))
        log_odds = {n: model.decision_function(test["review"]) for n, model in final.items()}
        for pair in (("plain", "bag"), ("skip", "bag")):
            blend = sh.Blend([(n, chosen[n]) for n in pair]).fit(texts.iloc[choose], y[choose])
            both = np.column_stack([log_odds[n] for n in pair])
            log_odds[blend.title] = blend.combine(both)
        positive = {n: expit(values.astype(np.float64)) for n, values in log_odds.items()}
        table = scores_table(positive, test["label"].to_numpy(), against="bag").T
        table["source"] = f"official split; {len(train):,} teach, {len(test):,} test"
        published = pd.DataFrame(PUBLISHED, columns=["model", "accuracy", "source"])
        table = pd.concat([table.rename_axis("model").reset_index(), published])[COLUMNS]
        content = {"data": DATA, "results": table.fillna("").to_dict("records")}
        temporary.write_text(json.dumps(content, indent=1), "utf-8")


def read_official(path: str | os.PathLike) -> pd.DataFrame | None:
    """The table in a file from `run_official`, as texts. None, with a logged message, if there is
    no such file; `FileError` if it is another one, or on other `DATA`."""
    if not Path(path).exists():
        _log.warning("%s is not there: `make official` writes it", Path(path).name)
        return None
    try:
        content = json.loads(Path(path).read_text("utf-8"))
        table = pd.DataFrame(content["results"])[COLUMNS].set_index("model")
    except (ValueError, TypeError, KeyError):
        content = {"data": None}
    if content.get("data") != DATA:
        raise FileError(f"{path} is not what `make official` writes: run it again")
    return table


def _finished(classifier):
    if classifier.stopped_ == "interrupted":
        raise KeyboardInterrupt
    return classifier
