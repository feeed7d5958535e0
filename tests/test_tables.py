"""Files of reviews: each cell exactly as it is in the file, or one sentence that says where not."""

import csv
import gzip
import io
import zipfile
from contextlib import suppress
from itertools import permutations, product

import pytest

from sentiment_helpers import tables
from sentiment_helpers.tables import ReviewFileError, open_table


@pytest.fixture
def write(tmp_path):
    def write(content, name="in.csv"):
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / name

    return write


def rows_of(path, **options):
    with open_table(path, **options) as table:
        return [table.columns] + [row for part in table.parts() for row in part.values.tolist()]


@pytest.fixture
def refuse(write):
    """Checks that a file, compressed or not, is refused in one sentence."""

    def refuse(content, says, **options):
        content = content.encode() if isinstance(content, str) else content
        for stored in (content, gzip.compress(content, 1)):
            with pytest.raises(ReviewFileError, match=says) as error:
                rows_of(write(stored), **options)
            assert len(str(error.value).splitlines()) == 1

    return refuse


CELLS = [
    ["id", "review", "note"],
    ["007", 'Dull\nand "bad"\tthroughout, isn\'t it; \\', "NA"],
    ["", "a\r\nb\rc", " x "],
    ["1e3", "😀 \x85\u2028 \0", "\\n"],
    ["12345678901234567890", "", '""'],
]


@pytest.mark.parametrize("separator", [",", "\t", ";"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_each_cell_as_it_is(write, separator, end):
    file, options = io.StringIO(newline=""), {"delimiter": separator, "lineterminator": end}
    csv.writer(file, quoting=csv.QUOTE_ALL, **options).writerows(CELLS)
    for mark in ("", "\ufeff"):
        assert rows_of(write(mark + file.getvalue() + end * 2)) == CELLS  # without empty lines


@pytest.mark.parametrize(
    "name",
    ["U8", "utf-8-sig", "ascii", "latin-1", "latin9", "windows-1252", "utf-16", "UTF-16LE",
     "utf-16-be", "utf-32", "utf-32-be", "cp1251", "big5", "shift-jis", "cp037", "utf-7"],
)  # fmt: skip
def test_encodings(write, name):
    cells = [["review", "x"], ["good + fine", "é" if name in ("U8", "latin-1") else "e"]]
    assert (
        rows_of(write("".join(f"{a};{b}\r\n" for a, b in cells).encode(name)), encoding=name)
        == cells
    )
    assert rows_of(write("\ufeffreview\né\n".encode("utf-16-be")), encoding="utf-16")[1] == ["é"]


@pytest.mark.parametrize(
    ("encoding", "wrong"),
    [
        ("utf-8", b"\xe9"), ("ascii", b"\xe9"), ("cp1252", b"\x81"), ("utf-16-le", b"\0\xd8"),
        ("utf-16-le", b"x"), ("undefined", b""), ("utf-99", b""), ("hex", b""),
    ],
)  # fmt: skip
def test_wrong_bytes_and_no_encoding(refuse, encoding, wrong):
    codec = encoding if encoding.startswith(("utf-1", "cp")) else "ascii"
    for lines in (0, 5000):
        content = ("review\n" + "1234567\n" * lines).encode(codec) + wrong + "x\ny".encode(codec)
        refuse(content, r"in.csv, line [0-9]+ or soon after: .*; name its enc", encoding=encoding)


def test_no_text(refuse):
    refuse("\ufeffreview\n".encode("utf-16-be"), r"such as utf-16, .* \(encoding=\"cp1252\"\)$")
    refuse("review\n".encode("utf-16-le"), "binary file; name its encoding, such as .* utf-16-le")
    refuse("review\n".encode("utf-16-le"), "such as .* utf-16-le", encoding="utf-16")


@pytest.mark.parametrize(
    ("header", "column", "review", "label"),
    [
        ("Review,REVIEW,review", "review", "review", None),
        ("rating,label,text", "Text", "text", "label"),
        ("rating,sentiment", "sentiment", "sentiment", "rating"),
        ("\ufeffreview;Sentiment ", "review", "review", "Sentiment "),
        ("review\t,label", "review", "review\t", "label"),
        ("id,id,review", "review", "review", None),
    ],
)
def test_columns(write, header, column, review, label):
    """A name spelled exactly so comes first; the column of reviews is not the label."""
    with open_table(write(header + "\n"), column) as table:
        assert (table.review, table.label, list(table.parts())) == (review, label, [])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b;c;d\n", r"no column review: choose one of 'a,b', 'c', 'd' \(column=\"NAME\"\)$"),
        ("review,x,review\n", "has 2 columns review: rename all but one"),
        ('"review";x\ny\n', "line 2: 1 cells, the first row has 2; quote each cell"),
        ('review\n"good\nfilm"\n"bad" film\n', "line 4: ',' expected"),
        ('review,x\n"good",1\n"open,2\nx,3\n', "line 4: unexpected end of data"),
        ('x\treview\n1\t"Up" is a film\n', r'line 2: .* letters \(quotes="none"\)$'),
        ("review,label\ngood, film,1\nbad, film,0\n", "line 2: 3 .* holds a separator$"),
        ("id,review\n1,good, film\n2,bad, film\n", "line 2: 3 cells, the first row has 2;"),
        ("review\tnote\ngood\nfilm\tx\n", "line 2: 1 cells, .* holds a line end$"),
        ("id,review,note\n1,good\nfilm,x\n", "line 2: 2 cells"),
        ("review,x\n1,good,1\n2,film\n3,so,1\n", "line 3: 2 .* 2 and the others one more;"),
        ('id\treview\n"1"\t"a\tb"\n"2"\t"C:\\"\n"3"\t"say \\"no\\""\n', "line 4"),
    ],
)
def test_no_row_is_torn(refuse, content, says):
    refuse(content, says)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("review,label,x,y\ngood,1,a,b\nbad,0\nso,1,c\n", ""),  # Excel leaves out empty cells
        ('"review","label"\n"1","good, but",1\n"7","bad",NA\n', "front"),  # R names its rows
        ('"review","note"\n"1","good",""\n"2","bad",""\n', "front"),
        ("x,review\n1,a,good\n2,b,bad\n", "front"),
        ("review,label\ngood,1,\nbad,0,\n", "end"),
        ("id,review\n1,good,\n2,bad,\n", "end"),
    ],
)
def test_rows_of_excel_and_r(write, content, columns):
    for separator in ",\t;":
        cells = list(csv.reader(io.StringIO(content)))
        cells[0] = [""] * (columns == "front") + cells[0] + [""] * (columns == "end")
        path = write(content.replace(",", separator).replace(f"{separator} but", ", but"))
        assert rows_of(path) == [row + [""] * (len(cells[0]) - len(row)) for row in cells]


def test_a_late_row_that_is_uneven(write, refuse, monkeypatch):
    """The beginning decides, wherever it ends; the rest has to keep to it."""
    refuse("review,x\n" + "so,1,\n" * 200 + "go,od,1\n", "line 202: 3 .* and the others one more;")
    rows = "".join(f'"a\nb; {n}",1\n' for n in range(40))
    for size in range(1, 60, 3):
        monkeypatch.setattr(tables, "BEGINNING", size)
        refuse(f"review,x\n{rows}c\n", "line 82: 1 cells, the first row has 2")
        refuse(f'review,x\n{rows}"c\\"",1\n', r'line 8\d: .*\(quotes="escaped"\)')


# As Kaggle writes them: a backslash before each quotation mark, and no other one.
ESCAPED = {
    '"1"\t"Nothing special here"\n': "Nothing special here",
    '"2"\t"They call it \\"art\\", I do not"\n': 'They call it "art", I do not',
    '"3"\t"1\\10, not \\n\tor\n\\"two\\""\n': '1\\10, not \\n\tor\n"two"',
    '4\t"C:\\\\"\n': "C:\\",
}


@pytest.mark.parametrize("separator", ["\t", ",", ";"])
def test_backslashes_before_quotation_marks(write, separator):
    for rows, quotes in product(permutations(ESCAPED), [None, "escaped"]):
        path = write("".join(["id\treview\n", *rows]).replace("\t", separator))
        found = [row[1] for row in rows_of(path, quotes=quotes)[1:]]
        assert found == [ESCAPED[row].replace("\t", separator) for row in rows]


def test_what_quotation_marks_are(write):
    """Doubled ones are tried first; that all are letters has to be said."""
    path = write('id\treview\n1\t"a ""b"" \\"\n2\t"\\n ""c"""\n')
    assert [row[1] for row in rows_of(path)[1:]] == ['a "b" \\', '\\n "c"']
    path = write('id\treview\n1\t"Up\\" is a film\n2\t"lone\n3\t"all"\n')
    found = rows_of(path, quotes="none")
    assert [row[1] for row in found[1:]] == ['"Up\\" is a film', '"lone', '"all"']
    with pytest.raises(ValueError, match="quotes is 'single'; it must be one of doubled, escaped"):
        rows_of(path, quotes="single")


def test_parts_have_few_long_rows(write, monkeypatch):
    path = write("review\n" + f"{'x' * 40}\n" * 10)
    for size, sizes in [(2**23, [4, 4, 2]), (100, [3, 3, 3, 1])]:
        monkeypatch.setattr(tables, "MAX_PART", size)
        with open_table(path) as table:
            assert [len(part) for part in table.parts(4)] == sizes


def test_lines_without_end_are_not_read_to_their_end(refuse, monkeypatch):
    monkeypatch.setattr(tables, "MAX_ROW", 1000)
    refuse("review\n" + "b" * 10_000, r"line 2: field larger than field limit \(1000\)")
    refuse("review,x\n" + "b" * 900 + "," + "b" * 900, "line 3: 1 cells, the first row has 2")
    refuse('review,x\n"' + "a\n" * 2000, r"line 502: field larger than field limit \(1000\)")


def zip_of(files, kind=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


@pytest.mark.parametrize("name", ["train.tsv", "./data/train.CSV", "train.csv.gz"])
def test_a_zip_with_one_table(write, name):
    """However many folders and hidden files there are."""
    table = b"review\tlabel\ngood\t1\n"
    files = dict.fromkeys(["data/", "__MACOSX/._a.csv", "data/.hidden.csv", ".git/b.csv"], b"")
    files |= {name: gzip.compress(table)} if name.endswith("gz") else {"about.md": b"", name: table}
    assert rows_of(write(zip_of(files))) == [["review", "label"], ["good", "1"]]


ONE = zip_of({"a.csv": b"review\n" + b"good\n" * 99})
LZMA = zip_of({"a.csv": b"x"}, zipfile.ZIP_LZMA)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (zip_of({"a/": b"", ".b.csv": b"x"}), "0 files, not one table"),
        (zip_of({"a.csv": b"x", "b/c.TSV": b"", "d": b""}), "2 files, not one table: a.csv, b/c."),
        (LZMA, r"has to be unpacked \(a.csv is neither stored nor deflated\)$"),
        (ONE[:-5], "it is damaged"),
        # The bit that says so is set in both headers.
        (ONE.replace(b"\x14\0\0\0", b"\x14\0\1\0"), "has to be unpacked .* is encrypted"),
        (gzip.compress(bytes(range(32, 99)) * 99)[:-9], "it is damaged"),
    ],
)
def test_archives_that_are_refused(write, content, says):
    with pytest.raises(ReviewFileError, match=says):
        rows_of(write(content))


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_each_byte_of_a_zip(write, kind):
    """Changed, or the first to be cut off: the file is read as it was, or refused."""
    whole = zip_of({"a.csv": b"review\ngood\ngood\n"}, kind)
    for place in range(4, len(whole)):
        for byte in (b"", *(bytes([whole[place] ^ change]) for change in (1, 128, 255))):
            path = write(whole[:place] + byte + whole[place + 1 :] * bool(byte))
            with suppress(ReviewFileError):
                assert rows_of(path) == [["review"], ["good"], ["good"]]
