"""Fixtures that the tests share: a seed, tiny vectors, some real reviews; and the number of cases
of each fuzzing test: 100 in `make test`, 2,000 in `make fuzz`, which writes their counts."""

import gc
import sys
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager, nullcontext
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, settings

from sentiment_helpers import Glove, classifiers, load_glove, load_reviews, saving
from sentiment_helpers.classifiers import base
from sentiment_report.experiments import FIGURES

# Without it, jsonschema does not compile a grammar of addresses, for seconds, when nbformat loads.
sys.modules["rfc3987_syntax"] = None

DEVICES = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
RELIABILITY = Path(__file__).parents[1] / "benchmarks" / "RELIABILITY.md"
ANY = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("test", max_examples=100, derandomize=True, **ANY)
settings.register_profile("fuzz", max_examples=2000, **ANY)
settings.load_profile("test")


LONG = {f"test_{name}.py" for name in ("classifiers", "fuzz", "notebooks", "scoring")}


def pytest_collection_modifyitems(items):
    """The longest files come first, so that none of them is alone at the end."""
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_collection_finish():
    """What was imported stays until the end: to look through it for garbage takes long."""
    gc.freeze()


@pytest.fixture(scope="session")
def cases() -> int:
    """The number of cases of a fuzzing test."""
    return settings().max_examples


@pytest.fixture(scope="session")
def tried(request, cases):
    """Counts cases by kind and outcome; a complete `make fuzz` writes them to a file."""
    counts, start = defaultdict(Counter), time.monotonic()
    yield counts
    chosen = request.config.option
    part = chosen.keyword or chosen.file_or_dir or cases < 2000
    if part or request.session.testsfailed:
        return
    lines = [
        f"| {what} | {sum(of.values()):,} | "
        f"{', '.join(f'{count:,} {outcome}' for outcome, count in sorted(of.items()))} |"
        for what, of in counts.items()
    ]
    minutes = (time.monotonic() - start) / 60
    text = RELIABILITY_TEXT.format(table="\n".join(lines), minutes=minutes)
    RELIABILITY.write_text(text, "utf-8")


RELIABILITY_TEXT = """# Reliability

Written by `make fuzz`, which took {minutes:.0f} minutes. Each case ended in a complete result or in
the documented exception. Another exception, a case of more than 20 seconds or a gigabyte of
additional memory fails the run, and then this file is not written. `make test` tries 100 cases of
each kind, the same ones each time.

| what | cases | outcomes |
|---|---|---|
{table}

Nothing was lost or half-written.
"""


@pytest.fixture(autouse=True)
def seeded():
    np.random.seed(0)
    torch.manual_seed(0)


@pytest.fixture(params=[name for name, is_here in DEVICES.items() if is_here])
def device(request, monkeypatch) -> str:
    """Each device of this machine in turn. What is loaded goes there, too."""
    real = classifiers.device_of
    for module in (base, saving):
        monkeypatch.setattr(
            module, "device_of", lambda n: real(request.param if n == "auto" else n)
        )
    return request.param


@pytest.fixture
def same(device):
    """Whether two tensors are equal: bit for bit on the CPU. A GPU adds in any order, unless it is
    told to use slower algorithms, so that small differences are no mistake there."""

    def compare(first, second) -> bool:
        first, second = torch.as_tensor(first).cpu(), torch.as_tensor(second).cpu()
        if device == "cpu":
            return torch.equal(first, second)
        return torch.allclose(first.double(), second.double(), rtol=1e-3, atol=1e-3)

    return compare


SETTINGS = {
    "device": torch.device("meta"), "gradients": torch.no_grad(), "dtype": nullcontext(),
    "inference": torch.inference_mode(), "autocast": torch.autocast("cpu"),
}  # fmt: skip
STATES = [torch.get_default_device, torch.get_default_dtype, torch.is_grad_enabled]
STATES += [torch.is_inference_mode_enabled, partial(torch.is_autocast_enabled, "cpu")]


@pytest.fixture(params=SETTINGS)
def setting(request):
    """Makes blocks with a setting that an earlier cell left in PyTorch, which must stay."""

    @contextmanager
    def block():
        with SETTINGS[request.param]:
            torch.set_default_dtype(torch.float64 if request.param == "dtype" else torch.float32)
            before = [state() for state in STATES]
            yield
            assert [state() for state in STATES] == before

    yield block
    torch.set_default_dtype(torch.float32)


@pytest.fixture
def glove() -> Glove:
    words = ["good", "film", "bad", "dull", "not", "n't"]
    vectors = np.array(
        [[1, 0, 1], [0, 1, 0], [-1, 0, 1], [-1, 0.5, 0], [0, -1, 0], [0, -1, 0.5]], np.float32
    )
    return Glove("tiny", words, vectors)


@pytest.fixture(scope="session")
def frequent_words() -> Glove:
    """The vectors of the bundled table's most frequent words; models with them load quickly."""
    glove = load_glove()
    return Glove(glove.name, glove.words[:20_000], glove.vectors[:20_000])


@pytest.fixture(scope="session")
def reviews() -> pd.DataFrame:
    """2,000 bundled reviews of both classes, in random order."""
    return (
        load_reviews("bundled")
        .drop(columns="film")
        .sample(2000, random_state=0)
        .reset_index(drop=True)
    )


@pytest.fixture(scope="session")
def rated_file(reviews, tmp_path_factory):
    """The same reviews as a tab-separated file with ratings, like the course's."""
    path = tmp_path_factory.mktemp("reviews") / "imdb-reviews.csv"
    table = pd.DataFrame({"url": "u", "rating": reviews["label"] * 6.0 + 2})
    table.assign(review=reviews["review"]).to_csv(path, sep="\t", index=False)
    return path


@pytest.fixture
def made_up():
    """Makes a row of `run_all` from predictions alone; labels are 0, 1, 0, 1, …"""

    def make(experiment, predictions, seed=1234) -> dict:
        predicted = np.array([*map(int, predictions)])
        accuracy = float(np.mean(predicted == np.arange(len(predicted)) % 2))
        figures = {f"{side}_{name}": 0.5 for side in ("train", "valid") for name in FIGURES}
        return figures | {
            "experiment": experiment, "title": experiment.upper(), "random_state": seed,
            "epochs": 15, "best epoch": 15, "seconds": 1.0, "valid_accuracy": accuracy,
            "interval": (accuracy - 0.1, accuracy + 0.1), "predicted": predicted,
        }  # fmt: skip

    return make


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        kind = self.path.strip("/").split("/")[0]
        if kind == "missing":
            return self.send_error(404)
        body = b"<html>Please log in</html>" if kind == "html" else self.server.content
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if kind == "cut" else body)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def misbehaving_server():
    """A server that sends its `content` below /good/, half of it below /cut/, a web page below
    /html/ and an error below /missing/."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()
