"""Index and shards: the same values give the same bytes, and what a publication cannot mean is refused."""

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from publication_maker import Publication, make_publication
from support import need_program
from tenuto.model.errors import IntegrityError
from tenuto.publication.documents import (
    encode_index,
    encode_shard,
    parse_index,
    parse_shard,
    shard_name,
    sign,
    verify_index,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    return make_publication(tmp_path_factory.mktemp("documents"))


def index_values(made: Publication) -> Any:
    return json.loads(encode_index(made.index))


def changed(values: Any, place: str, value: Any) -> bytes:
    """The document with one value changed; `place` is like `crates.0.bytes`."""
    *way, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    here = values
    for part in way:
        here = here[part]
    here[last] = value
    return json.dumps(values).encode()


def test_an_index_written_and_read_is_the_same_index_and_the_same_bytes(made: Publication) -> None:
    content = encode_index(made.index)
    assert parse_index(content) == made.index
    assert encode_index(parse_index(content)) == content


def test_an_index_is_one_line_of_json_with_sorted_keys_and_no_spaces(made: Publication) -> None:
    content = encode_index(made.index)
    assert content.endswith(b"}\n")
    assert content.count(b"\n") == 1
    assert list(json.loads(content)) == sorted(json.loads(content))
    assert b'": ' not in content


def test_names_stand_in_a_shard_as_they_are_in_utf_8(made: Publication) -> None:
    shard = parse_shard(next((made.root / "recordings").iterdir()).read_bytes())
    assert "data/audio/Ann/Öl/".encode() in encode_shard(shard)
    assert parse_shard(encode_shard(shard)) == shard


def test_a_shard_is_named_by_its_prefix_and_its_own_digest() -> None:
    assert shard_name("3f", b"content") == f"recordings/3f-{hashlib.sha256(b'content').hexdigest()[:8]}.json"


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("sequence", -1), ("sequence", "7"), ("sequence", 7.0), ("sequence", True), ("sequence", 2**63), ("sequence", 10**40),
        ("sequence", None), ("signing_public", "ab"), ("signing_public", "A" * 64), ("signing_public", "a" * 64 + "\n"),
        ("archive", "../etc"), ("published_at", "yesterday"), ("published_at", "2026-11-20T12:00:00+01:00"),
        ("tracks", 13), ("statuses", {"kept": -1, "dark": 13}), ("surprise", 1),
        ("shards.digits", 5), ("shards.digits", 2), ("shards.sha256", {"x": "0" * 64}),
        ("status.path", "../status.parquet"), ("status.path", "/etc/passwd"), ("status.path", "https://elsewhere.invalid/x"),
        ("status.path", "a\\b"), ("status.path", "a//b"), ("status.path", "./a"), ("status.path", ""), ("status.path", "a?b"),
        ("status.path", "a%2fb"), ("status.path", "a\nb"), ("status.path", "x" * 2000), ("status.bytes", -5),
        ("withdrawals.entries", -1),
        ("crates.0.addresses", []), ("crates.0.addresses", ["//elsewhere.invalid/x"]), ("crates.0.addresses", ["crates/../../x"]),
        ("crates.0.crate", "a/b"), ("crates.0.crate", ".."), ("crates.0.crate", "crate-b"), ("crates.0.crate", "crate-d"),
        ("crates.0.kind", "other"), ("crates.0.predecessor", "0" * 63), ("crates.0.infohash_v1", "0" * 64),
        ("crates.0.bytes", 0), ("crates.0.bytes", 2**63), ("crates.0.bytes", 5), ("crates.0.piece_length", 3 * 2**20),
        ("crates.0.piece_length", 0), ("crates.0.piece_length", 1024), ("crates.0.piece_length", 2**40),
        ("crates.0.leaves.count", 10**9), ("crates.0.leaves.offset", 2**62), ("crates.0.leaves.offset", 0),
        ("crates.0.layers.bytes", 32), ("crates.0.layers.bytes", 2**50),
        ("crates.0.redacted", [[0, 2**40]]), ("crates.0.redacted", [[100, 50], [120, 5]]), ("crates.0.redacted", [[-1, 5]]),
        ("crates.0.redacted", [[1, 2, 3]]), ("crates.0.surprise", 1), ("dark.0.sha256", "0" * 64), ("dark.0.bytes", -1),
    ],
)  # fmt: skip
def test_an_index_that_cannot_be_is_refused(made: Publication, place: str, value: Any) -> None:
    with pytest.raises(IntegrityError, match="not as tenuto-index-1 has it"):
        parse_index(changed(index_values(made), place, value))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"null",
        b"<!doctype html>",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"format": ' + b"9" * 9000 + b"}",
        b'{"format": []}',
    ],
)
def test_what_is_no_index_at_all_is_refused(content: bytes) -> None:
    with pytest.raises(IntegrityError):
        parse_index(content)


def test_a_format_that_is_not_known_is_named_with_the_one_that_is(made: Publication) -> None:
    with pytest.raises(IntegrityError, match="'tenuto-index-2'; this version reads tenuto-index-1"):
        parse_index(changed(index_values(made), "format", "tenuto-index-2"))


def test_a_refused_index_says_where_and_does_not_repeat_what_a_terminal_obeys(made: Publication) -> None:
    with pytest.raises(IntegrityError) as caught:
        parse_index(changed(index_values(made), "\x1b[2J", 1))
    assert "\x1b" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [("offset", -1), ("offset", 2**63), ("offset", "0"), ("bytes", -1), ("sha256", "0"), ("crate", "../x"), ("path", "/x"),
     ("path", "data/../x"), ("path", "data\\x"), ("path", ""), ("path", "c:x"), ("path", "a\x00b"), ("more", 1)],
)  # fmt: skip
def test_a_location_that_cannot_be_is_refused(field: str, value: Any) -> None:
    location = {"crate": "c", "path": "data/x", "offset": 0, "bytes": 1, "sha256": "0" * 64, field: value}
    shard = {"format": "tenuto-shard-1", "prefix": "0", "entries": {"0" * 64: [location]}}
    with pytest.raises(IntegrityError, match="the shard is not as"):
        parse_shard(json.dumps(shard).encode())


@pytest.mark.parametrize("entries", [{"1" * 64: [{}]}, {"0" * 64: []}, {"0": [{}]}])
def test_a_shard_with_foreign_or_empty_entries_is_refused(entries: Any) -> None:
    location = {"crate": "c", "path": "data/x", "offset": 0, "bytes": 1, "sha256": "0" * 64}
    filled = {key: [location for _ in found] for key, found in entries.items()}
    with pytest.raises(IntegrityError):
        parse_shard(json.dumps({"format": "tenuto-shard-1", "prefix": "0", "entries": filled}).encode())


def test_a_signature_holds_for_these_bytes_and_this_key_alone() -> None:
    key, other = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes_raw().hex()
    verify_index(b"content", sign(b"content", key), public)
    for content, signature in [
        (b"Content", sign(b"content", key)),
        (b"content", sign(b"content", other)),
        (b"content", b""),
    ]:
        with pytest.raises(IntegrityError, match="no signature by the key"):
            verify_index(content, signature, public)


def test_a_key_that_is_no_point_of_the_curve_signs_nothing() -> None:
    with pytest.raises(IntegrityError):
        verify_index(b"", bytes(64), "ff" * 32)


def test_openssl_agrees_on_the_signature(made: Publication, tmp_path: Path) -> None:
    pem = tmp_path / "signing.pub.pem"
    pem.write_bytes(made.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    words = ["pkeyutl", "-verify", "-pubin", "-inkey", pem, "-rawin", "-in", made.root / "index.json"]
    done = subprocess.run(
        [need_program("openssl"), *words, "-sigfile", made.root / "index.json.sig"], check=False, capture_output=True
    )
    assert done.returncode == 0, done.stderr
