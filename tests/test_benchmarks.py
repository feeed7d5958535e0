"""Both methods of each benchmark give the same results, on a few rows. No times are tested."""

import numpy as np
import pytest
import torch

from benchmarks import growth, recipe_text, stages
from benchmarks.__main__ import row
from benchmarks.measure import Line, NotTheSame, Run, check
from benchmarks.recipe import packed_twin
from sentiment_helpers import WordBiRNN, clean, tokens


@pytest.fixture
def few(reviews, monkeypatch):
    """The stages take their reviews from those of all tests, which are read already."""
    monkeypatch.setattr(stages, "bundled", lambda rows: reviews[:rows])


@pytest.mark.parametrize("name", stages.STAGES)
def test_stage(name, few):
    lines = stages.STAGES[name](rows=40)
    for line in lines:
        assert line.ours.seconds > 0
        assert row(line).count("|") == 8
    assert any(line.usual for line in lines) or name == "start"


@pytest.mark.parametrize(
    ("name", "part"), [("vectors", "words"), ("ids", "tokens"), ("scoring", "words")]
)
def test_stage_finds_a_difference(name, part, few, monkeypatch):
    whole = getattr(recipe_text, part)
    monkeypatch.setattr(recipe_text, part, lambda review: whole(review)[1:])
    with pytest.raises(NotTheSame):
        stages.STAGES[name](rows=20)


def test_packed_lstm_gives_the_same_logits():
    network = WordBiRNN(30, 6, 0.3, cell_type="lstm", num_layers=1, hidden_size=5, dropout=0.2)
    ids = torch.tensor([[3, 4, 5, 6, 7], [8, 9, 0, 0, 0], [10, 11, 12, 0, 0]])
    twin = packed_twin(network).eval()
    torch.testing.assert_close(network.eval()(ids), twin(ids), rtol=0, atol=1e-5)


def test_check():
    check("x", [1.0, 2.0], [1.0, 2.00001], 1e-4)
    for other in ([1.0, 2.1], [1.0], [1.0, np.nan]):
        with pytest.raises(NotTheSame, match="x:"):
            check("x", [1.0, 2.0], other, 1e-4)
    with pytest.raises(NotTheSame, match="1 of 2"):
        check("words", np.array(["a", "b"]), np.array(["a", "c"]), 0)


def test_the_recipe_reads_reviews_as_this_package_does(reviews):
    """NLTK's rules give the same words for a whole review as for its pieces."""
    odd = [
        "cannot",
        "can-not",
        "gonna!",
        "wanna,",
        "lemme-go",
        "more'n",
        "Can't!",
        "'Tis the 'Rose's' end. \"Don't.\" he said",
        "gonna, wanna:lemme",
        "",
        "'",
    ]
    for review in [*reviews["review"][:500], *odd]:
        assert recipe_text.words(review) == clean(review)
        assert recipe_text.tokens(review) == tokens(review)


@pytest.mark.slow
def test_growth(tmp_path):
    runs = growth.grow(rows=40)
    assert [list(by_rows) for by_rows in runs.values()] == [[40, 80, 160, 320]] * 3
    growth.draw(runs, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 10_000


def test_slope():
    assert growth.slope({n: Run(n**1.5, None) for n in (1, 2, 4, 8)}) == pytest.approx(1.5)


def test_row():
    line = Line("x", Run(0.5, 2_000_000), Run(10.0, None), "≥ 3 ×")
    assert row(line) == "| x | 500 ms | 10.00 s | **20.0 ×** | 2 MB | — | ≥ 3 × |"
    assert "| 2.00 s | — | — | — | — |" in row(Line("x", Run(2, None), None, ""))
