"""What is loaded predicts exactly what was saved; anything else is refused, and nothing is run."""

import copy
import datetime
import os
import pickle
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest
import torch
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from torch import nn

from sentiment_helpers import (
    BagClassifier,
    BiRNNClassifier,
    Glove,
    MeanEmbedding,
    TokenIds,
    WordBiRNNClassifier,
    blend,
    load,
    save,
)
from sentiment_helpers.saving import CheckpointError

KINDS = [BiRNNClassifier, BagClassifier, WordBiRNNClassifier]
TEXTS, LABELS = ["good film", "dull film", "film not bad", "bad film"] * 9, [1, 0, 1, 0] * 9
NEW = [*TEXTS[:4], "", "not-so-good café", "film film film dull"]
VECTORS = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
GLOVE = Glove("tiny", ["good", "film", "bad", "dull", "not"], VECTORS)
# NumPy's numbers, as a search over parameters gives them.
NUMBERS = {
    "max_epochs": np.int8(2), "lr": np.float32(0.02), "batch_size": np.int32(16),
    "max_norm": np.float64(np.inf), "random_state": np.int64(3), "verbose": np.bool_(False),
}  # fmt: skip


def fitted(kind, device="cpu"):
    """A small model of each kind, with other parameters than the defaults."""
    choices = NUMBERS | {"device": device} if kind is not BagClassifier else {}
    if choices:
        choices |= {"cell_type": np.str_("lstm"), "num_layers": np.int64(3), "optimizer": "rmsprop"}
        choices |= {"hidden_size": np.int64(4), "skip_connections": np.bool_(True)}
    if kind is WordBiRNNClassifier:
        choices |= {"embeddings": GLOVE, "domain_size": np.int64(2), "pair_size": np.int8(2)}
    reader = MeanEmbedding if kind is BiRNNClassifier else TokenIds
    return make_pipeline(reader(GLOVE), kind(**choices)).fit(TEXTS, LABELS)


@pytest.fixture(scope="module")
def models():
    return {kind.__name__: fitted(kind) for kind in KINDS}


@pytest.fixture(scope="module")
def blended(models):
    """Of classifiers of the same ids, and of pipelines; by name."""
    reader, words, bag = (*models["WordBiRNNClassifier"], models["BagClassifier"][-1])
    inner = blend([("words", words), ("bag", bag)]).fit(reader.transform(TEXTS), LABELS)
    outer = blend([("report", models["BiRNNClassifier"]), ("all", make_pipeline(reader, inner))])
    return {"inner": make_pipeline(reader, inner), "outer": outer.fit(TEXTS, LABELS)}


@pytest.fixture(scope="module")
def files(models, blended, tmp_path_factory):
    """Each model's file, by name."""
    folder = tmp_path_factory.mktemp("models")
    for name, model in (models | blended).items():
        save(model, folder / name)
    return {path.name: path for path in folder.iterdir()}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", KINDS)
def test_exactly_the_same_model(kind, device, same, tmp_path, setting):
    model = fitted(kind, device)
    expected = model.predict_proba(NEW)
    with setting():
        save(model, tmp_path / "m.pt")
        loaded = load(tmp_path / "m.pt")
        found = loaded.predict_proba(NEW)
    assert same(found, expected)
    old, new = model[-1], loaded[-1]
    if isinstance(new, BagClassifier):
        return
    assert next(new.network_.parameters()).device.type == device
    expected = old.get_params() | {"device": "auto"}
    expected |= {"embeddings": None} if kind is WordBiRNNClassifier else {}
    assert new.get_params() == expected
    values = new.get_params().values()
    assert {type(value) for value in values} <= {int, float, bool, str, type(None)}
    assert new.history_.equals(old.history_)
    kept = (*old.kept, "best_epoch_", "stopped_", "title")
    assert all(np.array_equal(getattr(new, name), getattr(old, name)) for name in kept)
    assert time.time() - 600 < new.trained_ <= time.time()


@pytest.mark.parametrize("name", ["inner", "outer"])
def test_blends(blended, files, name, setting):
    with setting():
        loaded = load(files[name])
        assert (loaded.predict_proba(NEW) == blended[name].predict_proba(NEW)).all()
    old, new = (model if name == "outer" else model[-1] for model in (blended[name], loaded))
    assert new.final_estimator_.coef_.tolist() == old.final_estimator_.coef_.tolist()
    assert list(new.named_estimators_) == list(old.named_estimators_)
    content = torch.load(files["inner"], weights_only=True)
    weights = content["models"]["words"]["state_dict"]  # as README says
    assert weights["embedding.weight"].dtype == torch.float16


def test_an_area_that_is_not_defined(tmp_path):
    """NaN in the history, where all validation rows are of one class."""
    X = MeanEmbedding(GLOVE).fit(TEXTS)
    good = X.transform(["good film"] * 3), [1] * 3
    classifier = BiRNNClassifier(max_epochs=1).fit(X.transform(TEXTS), LABELS, validation=good)
    save(make_pipeline(X, classifier), tmp_path / "m.pt")
    history = load(tmp_path / "m.pt")[-1].history_
    assert history["valid_roc_auc"].isna().all()
    assert history.equals(classifier.history_)


def put(*way, value=None):
    """A change of what stands in a file under some keys; None: there is nothing any more."""

    def change(content):
        for key in way[:-1]:
            content = content[key]
        if value is None:
            del content[way[-1]]
        else:
            content[way[-1]] = value

    return change


NAN, FOREIGN = float("nan"), "save did not write it"
NOT_THOSE = "loading state_dict"
CHANGES = {
    "BiRNNClassifier": [
        (put("version", value=4), "version 4, and 5 is read: update this package, or train"),
        (put("version"), "version None, and 5 is read"),
        (put("format", value="x"), FOREIGN),
        (put("format"), FOREIGN),
        (put("state_dict"), "'state_dict' is missing"),
        (put("state_dict", "out.bias"), NOT_THOSE),
        (put("state_dict", "more", value=torch.ones(1)), NOT_THOSE),
        (put("state_dict", "out.bias", value=torch.zeros(2)), NOT_THOSE),
        (put("state_dict", "out.bias", value=torch.zeros(1, dtype=torch.int64)), NOT_THOSE),
        (put("state_dict", "out.bias", value=1.0), "float"),
        (put("state_dict", "out.bias", value=torch.tensor([NAN])), "not finite"),
        (put("reader", "state", "vectors", value=torch.full((5, 4), NAN)), "holds NaN"),
        (put("reader", "state", "vectors", value=torch.ones(5, 7)), "features"),
        (put("reader", "state", "words", value="a\na\nb\nc\nd"), "a word is repeated"),
        (put("reader", "class", value="OneHotEncoder"), "OneHotEncoder"),
        (put("reader"), "no texts|array|convert"),
        (put("class", value="Pipeline"), "Pipeline"),
        (put("class", value="BagClassifier"), "takes no arguments"),
        (put("parameters", "num_layers", value=10**9), "num_layers is 1000000000"),
        (put("parameters", "num_layers", value=7), NOT_THOSE),
        (put("parameters", "hidden_size", value=2**14), NOT_THOSE),
        (put("parameters", "dropout", value=1.5), r"dropout is 1\.5"),
        (put("parameters", "cell_type", value="os"), "cell_type is 'os'"),
        (put("parameters", "optimizer", value="lion"), "optimizer is 'lion'; it must be one"),
        (put("parameters", "more", value=1), "unexpected keyword"),
        (put("found", "n_features_in_", value=10**9), NOT_THOSE),
        (put("found", "trained_"), "'trained_' is missing"),
        (put("classes", value=[1, 1]), "1 class found"),
        (put("classes", value=[0, 1, 2]), "3 classes found"),
        (put("classes", value=[[0], [1]]), r"the classes are \[\[0\], \[1\]\], not two in order"),
        (put("classes", value=[1, 0]), "not two in order"),
        (put("history", value="[{}]"), "epoch"),
        (put("history", value="x"), "Expecting value"),
        (put("history", value="[" * 10**6), "recursion"),
        (put("best_epoch", value=7), "best_epoch is 7"),
    ],
    "WordBiRNNClassifier": [
        (put("reader", "state", "max_length", value=10**9), "max_length is 1000000000"),
        (put("reader", "state", "ids", value=torch.ones(5).int()), "whole ids above 1"),
        (put("parameters", "embeddings", value="x"), "embeddings is 'x'"),
        (put("found", "ids_", value=torch.zeros(2**9, dtype=torch.int32)), NOT_THOSE),
        (put("found", "vector_size_", value=5), NOT_THOSE),
        (put("state_dict", "pairs.values", value=torch.zeros(1, 2)), NOT_THOSE),
    ],
    "outer": [
        (put("weights", value=[float("inf"), 1.0]), "not finite"),
        (put("weights", value=[1.0]), "1 weights do not fit 2 models"),
        (put("weights", value=[[1.0], [1.0]]), "2 weights do not fit|shape"),
        (put("weights", value=["1.0", "2.0"]), "."),
        (put("intercept", value=NAN), "not finite"),
        (put("models", value={}), "."),
        (put("models", "report", "classes", value=[0, 2]), "the models' classes differ"),
        (put("models", "report", "reader"), "."),
    ],
}
CHANGES = [(name, *change) for name, changes in CHANGES.items() for change in changes]


def check_refused(path, says=""):
    """In a sentence with the file's name."""
    with pytest.raises(CheckpointError, match=says) as error:
        load(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    assert len(str(error.value)) < 700


@pytest.mark.parametrize(("name", "change", "says"), CHANGES)
def test_refused_content(files, tmp_path, name, change, says):
    content = torch.load(files[name], weights_only=True)
    change(content)
    torch.save(content, tmp_path / "m.pt")
    check_refused(tmp_path / "m.pt", rf"m\.pt holds no model to load: .*{says}")


OTHERS = [
    [], None, {}, 3, torch.zeros(2), {"format": [[]]}, nn.Linear(2, 1).state_dict(),
    {1: nn.Linear(2, 1), "format": 1}, {1, 2}, datetime.date(2000, 1, 1), torch.eye(3).to_sparse(),
]  # fmt: skip


@pytest.mark.parametrize("content", OTHERS, ids=range(len(OTHERS)))
def test_files_of_other_programs(tmp_path, content):
    """A state_dict is answered with what to do with it."""
    torch.save(content, tmp_path / "m.pt")
    check_refused(tmp_path / "m.pt", f"{FOREIGN}.*load_state_dict|holds more than tensors")


@pytest.mark.filterwarnings("ignore:`torch.jit", "ignore:'torch.load' received")
def test_files_that_are_none(files, tmp_path):
    check_refused(tmp_path, "cannot read .*a folder")
    check_refused(tmp_path / "none.pt", r"cannot read .*none\.pt: No such file or directory$")
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    torch.jit.save(torch.jit.script(nn.Linear(2, 1)), tmp_path / "script.pt")
    for content in (b"", b"no tensors here", b"PK\x03\x04 cut off"):
        (tmp_path / "m.pt").write_bytes(content)
        check_refused(tmp_path / "m.pt", r"cannot read .*m\.pt: ")
    put_together(members_of(files["inner"]) | {"data.pkl": b""}, tmp_path / "empty.pt")
    says = {"x.npz": r"a\.npy", "script.pt": r"torch\.load``", "empty.pt": "it is damaged"}
    for name in says:
        check_refused(tmp_path / name, f"cannot read .*{says[name]}$")


def test_changed_bytes_and_cuts(files, tmp_path):
    """Each is refused, or changes nothing: padding, and parts that nothing needs."""
    whole, path, refused = files["BiRNNClassifier"].read_bytes(), tmp_path / "m.pt", []
    expected = load(files["BiRNNClassifier"]).predict_proba(NEW)
    places = range(0, len(whole), len(whole) // 120)
    for place in [*places, *range(len(whole) - 1500, len(whole), 17)]:
        bit = bytes([whole[place] ^ (1 << place % 8)])
        path.write_bytes(whole[:place] + bit + whole[place + 1 :])
        try:
            assert (load(path).predict_proba(NEW) == expected).all()
        except CheckpointError:
            refused.append(place)
        path.write_bytes(whole[:place])
        check_refused(path, r"cannot read .*m\.pt")
    assert len(refused) > 80


class Runs:
    """Its pickle makes a folder when it is loaded."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def put_together(members, path):
    """An archive with right checksums, as only somebody who knows the format would make it."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(f"x/{name}", data)


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("bare", [False, True])
def test_code_is_not_run(files, tmp_path, protocol, bare):
    marker, path = tmp_path / "ran", tmp_path / "m.pt"
    pickled = pickle.dumps({"format": Runs(marker)}, protocol)
    if bare:
        path.write_bytes(pickled)
    else:
        put_together(members_of(files["inner"]) | {"data.pkl": pickled}, path)
    check_refused(path, "not a zip file" if bare else "holds more than tensors and plain values$")
    assert not marker.exists()
    pickle.loads(pickled)  # it would have run
    assert marker.exists()


def test_what_cannot_be_saved(models, blended, tmp_path):
    """Each is answered with what to save instead, and nothing is written."""
    reader, classifier = models["WordBiRNNClassifier"]
    tfidf = make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(TEXTS, LABELS)
    broken = copy.deepcopy(models["BiRNNClassifier"])
    broken[-1].network_.out.bias.data.fill_(torch.nan)
    says = (
        "^{} cannot be saved: save a pipeline of one of MeanEmbedding, TokenIds and one of "
        "BagClassifier, BiRNNClassifier, WordBiRNNClassifier, or a blend .*best_estimator_"
    )
    for refused, kinds in [
        (tfidf, "TfidfVectorizer and LogisticRegression"),
        (blend([("a", models["BagClassifier"]), ("b", tfidf)]).fit(TEXTS, LABELS), "Tfidf.*"),
        (make_pipeline(reader, *models["BiRNNClassifier"]), ".* and MeanEmbedding and BiRNN.*"),
        (make_pipeline(reader, models["WordBiRNNClassifier"]), "TokenIds and WordBiRNNClassifier"),
        (make_pipeline(reader, LogisticRegression()), "LogisticRegression"),
        (make_pipeline(reader, GridSearchCV(classifier, {})), "GridSearchCV"),
        (classifier, "WordBiRNNClassifier"),
        (blended["inner"][-1], "WordBiRNNClassifier"),
        (reader, "TokenIds"),
        (classifier.network_, "WordBiRNN"),
        (None, "NoneType"),
    ]:
        with pytest.raises(ValueError, match=says.format(kinds)):
            save(refused, tmp_path / "m.pt")
    with pytest.raises(ValueError, match="a weight is not finite: train the model again"):
        save(broken, tmp_path / "m.pt")
    bag = BagClassifier()
    for unfitted in [make_pipeline(reader, bag), make_pipeline(TokenIds(GLOVE), bag), blend([])]:
        with pytest.raises(NotFittedError):
            save(unfitted, tmp_path / "m.pt")
    assert list(tmp_path.iterdir()) == []


def test_the_same_training_gives_the_same_bytes_in_any_process(tmp_path):
    code = "import sys, time, test_saving as t; time.time = time.perf_counter = lambda: 0; "
    code += "models = [*zip('abc', map(t.fitted, t.KINDS))]; "
    code += "t.save(t.blend(models).fit(t.TEXTS, t.LABELS), sys.argv[1])"
    for seed in "12":
        run, env = [sys.executable, "-c", code, tmp_path / seed], {"PYTHONHASHSEED": seed}
        subprocess.run(run, check=True, cwd=os.path.dirname(__file__), env=os.environ | env)
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
