"""Tables: the separator, the columns, and rows exactly as they are in the file."""

import re
from itertools import permutations

import pytest

from sentiment_helpers.storage import review_table
from sentiment_helpers.storage.review_table import ReviewTable
from sentiment_helpers.storage.text_file import ReviewFileError


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


def test_blocks_have_few_long_rows(write, monkeypatch):
    """However many rows are asked for, no more than `MAX_BLOCK_SIZE` characters and a row."""
    path = write("review\n" + f"{'x' * 40}\n" * 10)
    with ReviewTable.open(path) as table:
        blocks = list(table.blocks(4))
        assert [len(rows) for rows in blocks] == [4, 4, 2]
        assert [row for rows in blocks for row in rows] == list(table.rows())
        monkeypatch.setattr(review_table, "MAX_BLOCK_SIZE", 100)
        assert [len(rows) for rows in table.blocks(8192)] == [3, 3, 3, 1]


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
        assert (table.review, table.label, list(table.rows())) == (review, label, [])


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
    assert str(error.value).endswith(('(column="NAME")', "in it"))


# As Kaggle writes them: a backslash before each quotation mark, and no other one.
ESCAPED = {
    '"1"\t"Nothing special here"\n': "Nothing special here",
    '"2"\t"They call it \\"art\\", I do not"\n': 'They call it "art", I do not',
    '"3"\t"\\"Fun\\" from start, \\"fun\\""\n': '"Fun" from start, "fun"',
    '"4"\t"1\\10, not \\n\tor\n\\"two\\""\n': '1\\10, not \\n\tor\n"two"',
    '5\t"C:\\\\"\n': "C:\\",
}


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_backslashes_before_quotation_marks(write, separator):
    """In any order of the rows: one fully quoted row proves nothing about backslashes."""
    for rows in permutations(ESCAPED):
        texts = [row.replace("\t", separator) for row in rows]
        with ReviewTable.open(write(f"id{separator}review\n" + "".join(texts))) as table:
            assert [row.text for row in table.rows()] == texts
            found = [row.fields[1] for row in table.rows()]
        assert found == [ESCAPED[row].replace("\t", separator) for row in rows]


@pytest.mark.parametrize(
    ("rows", "texts"),
    [
        (['"a ""b"" \\"', '"\\n ""c"""'], ['a "b" \\', '\\n "c"']),  # doubled ones quote
        (['"a"', 'b \\"c\\"'], ["a", 'b \\"c\\"']),
        (['"all of it"', '"Up\\" is a film'], ['"all of it"', '"Up\\" is a film']),  # letters
        (['"a \\"b\\" c"', '"C:\\"', '"d"'], ['"a \\"b\\" c"', '"C:\\"', '"d"']),  # letters, too
    ],
)
def test_the_file_shows_what_a_backslash_means(write, rows, texts):
    for order in permutations(range(len(rows))):
        path = write("id\treview\n" + "".join(f'"{n}"\t{rows[n]}\n' for n in order))
        with ReviewTable.open(path) as table:
            assert [row.fields[1] for row in table.rows()] == [texts[n] for n in order]


@pytest.mark.parametrize(
    ("rows", "line"),
    [
        ('"1"\t"a"\n"2"\t"say "no" twice"\n', 3),
        ('"1"\t"a\tb"\n"2"\t"C:\\"\n"3"\t"say \\"no\\""\n', 4),  # a tab inside: they quote
        ('"1"\t"a \\"b\\""\t3\n"2"\t"c\nd"\n', 2),
    ],
)
def test_no_row_is_torn(write, rows, line):
    with (
        pytest.raises(ReviewFileError, match=f"line {line}: "),
        ReviewTable.open(write("id\treview\n" + rows)),
    ):
        pass


@pytest.mark.parametrize(
    ("column", "labels", "says"),
    [
        ("label", "1 2", "row 2: label '2' is none of 0, 1, neg, pos, negative, positive; the col"),
        ("label", "0 4", "'4' is none of .*; the column holds '0', '4'$"),
        ("label", "0 1 2", "holds '0', '1', '2'$"),
        ("sentiment", "-1 1", "row 1: sentiment '-1' is none of .* holds '-1', '1'$"),
        ("label", "1 2 3 4 5", "holds '1', '2', '3', '4', '5'$"),
        ("label", "1 1 1 1 1 1 1 1 1 1 1 1.0 2.0", "'2.0'"),  # no 0, so 1 need not be positive
        ("label", "0.25 0.5 1 0", "'0.25'"),
        ("label", "true FALSE", "row 1: label 'true' is none of"),
        ("sentiment", "pos bad", "row 2: sentiment 'bad'"),
        ("label", "pos neg ? ? ?", "row 3: label '?'"),
        ("label", "-9 -8 -7 -6 -5 -4 -3 -2 -1 0 1", "'-1', .* …$"),
        ("rating", "85 20 7 3", "row 1: rating '85' is not a number from 1 to 10; the column ho"),
        ("rating", "0 1 2 3 4 5", "rating '0' is not a number"),
        ("rating", "8/10 2/10", "'8/10' is not a number"),
        ("rating", "1 2 3 4 5 5.0 4 3 2 1", "no rating of 10 is above 5, .* column named label"),
        ("rating", "1 2 3 4 5 4 3 2 1", ""),
        ("rating", "1 2 3 4 5 5.5 4 3 2 1", ""),
        ("rating", "2 3 9", ""),
        ("rating", "9 1 0 10 8 7 3 2 1 5 6", ""),
        ("label", "0 1 0 1 0 1 0 1 0 7", ""),  # a few among many
        ("label", "pos neg unsup unsup", ""),
        ("label", "1 1 1 1 1 1 1 1 1 ?", ""),
        ("sentiment", "0.0 Positive", ""),
    ],
)
def test_labels_on_another_scale(write, column, labels, says):
    """Empty labels, and those of rows without a review, say nothing."""
    rows = "".join(f"good,{label}\n" for label in labels.split()) + "good,\n" * 9 + ",maybe\n" * 9
    with ReviewTable.open(write(f"review,{column}\n" + rows)) as table:
        assert (table.label is None) == bool(says)
        assert re.search(says, table.label_error) if says else table.label_error == ""
