"""Tables: the separator, the columns, and rows exactly as they are in the file."""

import pytest

from sentiment_helpers import ReviewFileError
from sentiment_helpers.storage import review_table
from sentiment_helpers.storage.review_table import ReviewTable


@pytest.fixture
def write(tmp_path):
    def write(content):
        (tmp_path / "in.csv").write_bytes(content.encode())
        return tmp_path / "in.csv"

    return write


def test_rows_keep_their_text(write):
    rows = ['"a\r\nb",1\r\n', "\n", 'c,"2"\r', "d,3"]
    with ReviewTable.open(write("\ufeffreview,label\n" + "".join(rows))) as table:
        assert table.header == "\ufeffreview,label\n"
        assert [row.text for row in table.rows()] == rows
        assert [row.fields for row in table.rows()] == [["a\r\nb", "1"], [], ["c", "2"], ["d", "3"]]
        assert table.num_rows == 3


def test_blocks_have_few_long_rows(write, monkeypatch):
    """However many rows are asked for, no more than `MAX_BLOCK_SIZE` characters and a row."""
    path = write("review\n" + f"{'x' * 40}\n" * 10)
    with ReviewTable.open(path) as table:
        blocks = list(table.blocks(4))
        assert [len(rows) for rows, _ in blocks] == [4, 4, 2]
        assert [row for rows, _ in blocks for row in rows] == list(table.rows())
        assert blocks[-1][1] == path.stat().st_size
        monkeypatch.setattr(review_table, "MAX_BLOCK_SIZE", 100)
        assert [len(rows) for rows, _ in table.blocks(8192)] == [3, 3, 3, 1]


@pytest.mark.parametrize(
    ("header", "column", "review", "label"),
    [
        ("Review,REVIEW,review", "review", 2, None),
        ("Review , review", "review", 0, None),
        ("rating,label,text", "Text", 2, 1),
        ("label,label", "label", 0, 1),
        ("rating,sentiment", "sentiment", 1, 0),
        ("\ufeffreview;Sentiment ", "review", 0, 1),
        ('x\t"review"', "review", 1, None),
        ("review\t,label", "review", 0, 1),
    ],
)
def test_columns(write, header, column, review, label):
    """A name spelled exactly so comes first; the column of reviews is not the label."""
    with ReviewTable.open(write(header + "\n"), column) as table:
        assert (table.review, table.label, table.num_rows) == (review, label, 0)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("a,b;c;d\n", "no column review: choose one of 'a,b', 'c', 'd' "),  # the most columns
        ('"review";x\ny\n', "line 2: 1 fields, the header has 2"),
        ("review\tx\ny\n", "line 2: 1 fields, the header has 2"),
        (",".join(f"column{n}" for n in range(500)), "no column review: choose one of 'column0', "),
    ],
)
def test_the_failure_that_came_farthest_is_reported(write, content, says):
    with pytest.raises(ReviewFileError, match=says) as error, ReviewTable.open(write(content)):
        pass
    assert str(error.value).endswith(("(--column)", "in it"))
