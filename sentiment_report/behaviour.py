"""A behavioural suite: short sentences that every reader reads alike, after Ribeiro et al. (2020),
"Beyond accuracy: behavioral testing of NLP models with CheckList"."""

import re
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import ClassifierMixin

FILES = "behaviour.csv", "behaviour_words.csv"  # templates, and what may fill their slots


def cases() -> pd.DataFrame:
    """The sentences, in the columns `kind`, `text`, `label` (1 positive, 0 negative) and `other`:
    the text that must be read like `text`, or "" where the label decides."""
    # A slot "a/b" has a in the text, and b in the other one, which must be read alike.
    templates, words = (pd.read_csv(Path(__file__).with_name(name)) for name in FILES)
    held, rows = words.set_index("slot")["words"].str.split(", "), []
    for kind, positive, negative in templates.itertuples(index=False):
        for label, template in ((1, positive), (0, negative)):
            slots = held[re.findall(r"{(\w+)}", template)]
            fill = re.sub(r"{\w+}", "{}", template).format
            for chosen in product(*slots):
                text, other = (fill(*(word.split("/")[n] for word in chosen)) for n in (0, -1))
                rows.append((kind, text, label, other if other != text else ""))
    return pd.DataFrame(rows, columns=["kind", "text", "label", "other"])


def failure_rates(models: dict[str, ClassifierMixin]) -> pd.DataFrame:
    """For each kind, then for all: the number of cases, and the share that each model fails: `text`
    is not read as its label says or, where there is `other`, the two are not read alike, whatever
    the label. A fitted model of texts reads as positive what it gives a probability above 0.5."""
    table = cases()
    failed = pd.DataFrame({"kind": table["kind"]})
    for name, model in models.items():
        text, other = (model.predict_proba(table[side])[:, 1] > 0.5 for side in ("text", "other"))
        failed[name] = text != np.where(table["other"] == "", table["label"] == 1, other)
    groups = pd.concat([failed, failed.assign(kind="all")]).groupby("kind", sort=False)
    return groups.size().to_frame("cases").join(groups.mean())
