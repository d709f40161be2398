"""The encrypted files of backups, and what is found when they are not what was written."""

import io
import json
import secrets

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hearth.backup import sealing
from hearth.backup.manifest import Manifest
from hearth.backup.sealing import BackupKey, SealedReader, SealedWriter
from hearth.backup.settings_copy import HIDDEN, public_settings
from hearth.errors import InvalidBackup

KEY = BackupKey("a-key-for-backups", b"salt" * 4)
CHUNK = 64


@pytest.fixture(autouse=True, scope="module")
def small_chunks() -> object:
    patch = pytest.MonkeyPatch()
    patch.setattr(sealing, "CHUNK_BYTES", CHUNK)
    yield
    patch.undo()


def sealed(*pieces: bytes, name: str = "part") -> bytes:
    file = io.BytesIO()
    writer = SealedWriter(file, KEY, name)
    for piece in pieces:
        writer.write(piece)
    writer.finish()
    assert writer.size == len(file.getvalue())
    return file.getvalue()


def opened(content: bytes, name: str = "part", key: BackupKey = KEY) -> bytes:
    return SealedReader(io.BytesIO(content), key, name).read()


@given(st.lists(st.binary(max_size=3 * CHUNK), max_size=6), st.lists(st.integers(1, 2 * CHUNK), min_size=1, max_size=8))
def test_what_is_written_in_any_pieces_is_read_in_any_pieces(pieces: list[bytes], sizes: list[int]) -> None:
    content = b"".join(pieces)
    reader = SealedReader(io.BytesIO(sealed(*pieces)), KEY, "part")
    read = b"".join(reader.read(size) for size in sizes)
    assert read == content[: sum(sizes)]
    assert read + reader.read() == content
    assert reader.read(1) == b""


@given(st.binary(max_size=4 * CHUNK), st.data())
@settings(max_examples=60)
def test_no_changed_byte_and_no_early_or_late_end_goes_unnoticed(content: bytes, data: st.DataObject) -> None:
    whole = sealed(content)
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    for damaged in (bytes(changed), whole[:at], whole + secrets.token_bytes(1 + at % CHUNK)):
        with pytest.raises(InvalidBackup, match="part"):
            opened(damaged)


def test_chunks_cannot_be_left_out_or_change_places() -> None:
    whole = sealed(b"a" * CHUNK + b"b" * CHUNK + b"c")
    header, size = 24, CHUNK + 16
    first, second, rest = whole[header : header + size], whole[header + size : header + 2 * size], whole[header + 2 * size :]
    for damaged in (second + first + rest, first + rest, first + second, first):
        with pytest.raises(InvalidBackup, match="was changed or cut off"):
            opened(whole[:header] + damaged)


def test_a_file_under_the_name_of_another_and_one_of_another_key_are_found() -> None:
    whole = sealed(b"content")
    for name, key in (
        ("other", KEY),
        ("part", BackupKey("another-key-of-mine", b"salt" * 4)),
        ("part", BackupKey("a-key-for-backups", b"S" * 16)),
    ):
        with pytest.raises(InvalidBackup):
            opened(whole, name, key)


def test_a_file_whose_writer_was_killed_has_no_end() -> None:
    file = io.BytesIO()
    SealedWriter(file, KEY, "part").write(b"x" * 5 * CHUNK)
    with pytest.raises(InvalidBackup, match="cut off"):
        opened(file.getvalue())


def test_the_same_content_is_never_encrypted_to_the_same_bytes() -> None:
    assert sealed(b"content")[24:] != sealed(b"content")[24:]


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"manifest": {}, "mac": ""}', b'{"manifest": {"format": 1, "id": "x"}, "mac": ""}', b"\xff"]
)
def test_a_manifest_that_is_none_is_one_message(content: bytes) -> None:
    with pytest.raises(InvalidBackup, match="cannot be read as a manifest"):
        Manifest.from_bytes(content, "x/manifest.json")


def test_a_manifest_of_a_later_format_says_what_to_use() -> None:
    with pytest.raises(InvalidBackup, match="has the format 2, this Hearth reads 1"):
        Manifest.from_bytes(json.dumps({"manifest": {"format": 2}, "mac": ""}).encode(), "x")


def test_settings_are_copied_without_secrets_wherever_these_are() -> None:
    environment = {
        "HEARTH_S3_SECRET_KEY": "very-secret",
        "HEARTH_API_KEYS": "page:predict:long-secret",
        "HEARTH_PREDICTIONS_URL": "postgresql://predictions:pass-word@127.0.0.1:15432/predictions",
        "HEARTH_NOTE": "it is very-secret, really",
        "HEARTH_DATA_BUCKET": "data",
        "HEARTH_REDIS_PASSWORD": "",
        "HOME": "/root",
    }
    assert public_settings(environment) == {
        "HEARTH_DATA_BUCKET": "data",
        "HEARTH_NOTE": f"it is {HIDDEN}, really",
        "HEARTH_PREDICTIONS_URL": f"postgresql://{HIDDEN}@127.0.0.1:15432/predictions",
    }


@given(
    st.dictionaries(
        st.sampled_from(["HEARTH_A_PASSWORD", "HEARTH_B_SECRET", "HEARTH_C_KEY"]),
        st.text(st.characters(codec="utf-8", categories=["L"]), min_size=6, max_size=12),
    ),
    st.text(max_size=20),
)
def test_no_secret_is_a_part_of_any_copied_value(secrets_: dict[str, str], text: str) -> None:
    environment = {**secrets_, "HEARTH_X": f"{text}{''.join(secrets_.values())}{text}"}
    copied = public_settings(environment)
    assert set(copied) == {"HEARTH_X"}
    assert not any(secret in copied["HEARTH_X"].replace(HIDDEN, "") for secret in secrets_.values())


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"manifest": {"format": 1, "parts": [], "warnings": [], "started_at": "9999-12-31T23:59:59-14:00"}, "mac": ""}',
        '{"manifest": {"format": 1, "parts": [{"size": "x"}]}, "mac": ""}',
    ],
)
def test_a_manifest_of_anything_is_refused_so_that_it_hides_no_other_backup(content: str) -> None:
    with pytest.raises(InvalidBackup, match="cannot be read as a manifest"):
        Manifest.from_bytes(content.encode(), "manifest.json")
