"""Text files in each encoding, and the line that is named where one is not text."""

import gzip
import io
import zipfile
from contextlib import suppress

import pytest

from sentiment_helpers.storage import text_file
from sentiment_helpers.storage.text_file import ReviewFileError, Source


def lines_of(path, encoding="utf-8"):
    with Source.open(path, encoding) as source, source.lines() as lines:
        return list(lines)


@pytest.fixture
def refuse(tmp_path):
    """Checks that a file with some content is refused in one sentence."""

    def refuse(content, encoding, says):
        path = tmp_path / "x.txt"
        for stored in (content, gzip.compress(content, 1)):
            path.write_bytes(stored)
            with pytest.raises(ReviewFileError, match=says):
                lines_of(path, encoding)

    return refuse


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("utf-8", "utf-8"), ("U8", "utf-8"), ("utf-8-sig", "utf-8"), ("us-ascii", "ascii"),
        ("latin-1", "iso8859-1"), ("ISO-8859-15", "iso8859-15"), ("latin9", "iso8859-15"),
        ("windows-1252", "cp1252"), ("utf-16", "utf-16-le"), ("UTF-16BE", "utf-16-be"),
        ("utf-32", "utf-32-le"), ("utf-32-be", "utf-32-be"),
    ],
)  # fmt: skip
def test_the_nine_encodings(tmp_path, name, codec):
    """Their other names too; the text is the same without its mark, and `take_row` keeps all."""
    path, text = tmp_path / "x.txt", "a review\r\nof\rthree\nlines"
    for mark in ("", "\ufeff") if codec.startswith("utf") else ("",):
        path.write_bytes((mark + text).encode(codec))
        with Source.open(path, name) as source, source.lines() as lines:
            assert source.encoding == codec
            assert list(lines) == text.splitlines(keepends=True)
            assert lines.take_row() == mark + text
            assert lines.take_row() == ""


@pytest.mark.parametrize("kind", ["utf-16", "utf-32"])
def test_the_mark_decides_the_byte_order(tmp_path, kind):
    for order in ("-le", "-be"):
        (tmp_path / "x.txt").write_bytes("\ufeffé\n".encode(kind + order))
        assert lines_of(tmp_path / "x.txt", kind) == ["é\n"]


@pytest.mark.parametrize("name", ["utf-7", "cp932", "big5", "hex", "undefined", "utf-99", "", "\0"])
def test_other_encodings_are_refused(refuse, name):
    nine = "utf-8, ascii, iso8859-1, iso8859-15, cp1252, utf-16-le, utf-16-be, utf-32-le, utf-32-be"
    refuse(
        b"review\n", name, rf"is not a supported encoding \({nine}\): convert the file to UTF-8$"
    )


# Text is decoded in blocks of 8,192 bytes: each place is tried at their ends and behind them.
@pytest.mark.parametrize("lines", [0, 1, 1023, 1024, 2500])
@pytest.mark.parametrize(
    ("encoding", "wrong"),
    [
        ("utf-8", b"\xe9"), ("ascii", b"\xe9"), ("cp1252", b"\x81"), ("utf-8", b"\xf0\x9f\x98"),
        ("utf-16-le", b"\0\xd8"), ("utf-16-be", b"\xdc\0"), ("utf-32-le", b"\0\0\x11\0"),
    ],
)  # fmt: skip
def test_the_line_that_is_not_text(refuse, lines, encoding, wrong):
    after = "x\ny".encode(encoding)
    says = f"byte 0x[0-9a-f]+ in line {lines + 1} is not {encoding} text; name its encoding"
    for line_end in ("\n", "\r", "\r\n"):
        for start in ("", "ab" if encoding in ("ascii", "cp1252") else "a\ufffd"):
            before = (f"1234567{line_end}" * lines + start).encode(encoding)
            for rest in (b"", after, wrong + after):
                refuse(before + wrong + rest, encoding, says)


def test_an_incomplete_character_at_the_end(refuse):
    refuse("a\nb".encode("utf-16-le") + b"x", "utf-16", "byte 0x78 in line 2 is not utf-16-le text")
    refuse("a\né".encode()[:-1], "utf-8", "byte 0xc3 in line 2 is not utf-8 text")


def test_the_encoding_is_guessed_from_the_first_bytes(refuse):
    for kind in ("utf-16", "utf-32"):
        refuse(
            "é\n".encode(kind), "utf-8", rf'is {kind} text, not utf-8: say so \(encoding="{kind}"\)'
        )
    refuse("\ufeffé\n".encode("utf-16-be"), "ascii", "is utf-16 text, not ascii")
    refuse(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "utf-8", "is binary, not text")


def test_lines_without_end_are_not_read_to_their_end(refuse, monkeypatch):
    monkeypatch.setattr(text_file, "MAX_ROW", 1000)
    refuse(b"a\n" + b"b" * 10_000, "utf-8", "line 2 has more than 1,000 characters")
    refuse(b"a\n" * 99 + b"b" * 10_000 + b"\xff", "utf-8", "line 100 has more than 1,000")
    refuse(b"a\n" * 99 + b"b" * 500 + b"\xff" + b"b" * 9000, "utf-8", "0xff in line 100 is not")


def zip_of(files, kind=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


ONE = zip_of({"a.csv": b"review\n" + b"good\n" * 99})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (zip_of({}), "0 files, not one table"),
        (zip_of({"a/": b"", ".b.csv": b"x"}), "0 files"),
        (
            zip_of({"a.csv": b"x", "b/c.TSV": b"y", "d": b"z"}),
            r"has to be unpacked \(2 files, not one table: a.csv, b/c.TSV\)$",
        ),
        (zip_of({"a.txt": b"x", "b.txt": b"y"}), "2 files, not one table: a.txt, b.txt"),
        (
            zip_of({"a.csv": b"x"}, zipfile.ZIP_LZMA),
            "unpacked .a.csv is neither stored nor deflated",
        ),
        (zip_of({"a.csv": b""}), "is empty"),
        (zip_of({"a.csv": b"\xe9"}), "byte 0xe9 in line 1 is not utf-8 text"),
        (ONE[:-5], "it is cut off or damaged"),
        (ONE[:36] + b"\xff" + ONE[37:], "it is cut off or damaged"),
        # The bit that says so is set in both headers.
        (ONE.replace(b"\x14\0\0\0", b"\x14\0\1\0"), "has to be unpacked .* is encrypted"),
    ],
)
def test_zips_that_are_refused(tmp_path, content, says):
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ReviewFileError, match=says):
        lines_of(tmp_path / "x.zip")


@pytest.mark.parametrize("kind", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_each_byte_of_a_zip(tmp_path, kind):
    """Changed, or the first to be cut off: the file is read as it was, or refused."""
    whole, path = zip_of({"a.csv": b"review\ngood\ngood\n"}, kind), tmp_path / "x.zip"
    for place in range(4, len(whole)):
        for byte in (b"", *(bytes([whole[place] ^ change]) for change in (1, 8, 128, 255))):
            path.write_bytes(whole[:place] + byte + whole[place + 1 :] * bool(byte))
            with suppress(ReviewFileError):
                assert lines_of(path) == ["review\n", "good\n", "good\n"]
