"""`python -m tenuto.doctor.trial LIBRARY`: uses a native library for what Tenuto needs of it, in a process that may die of it.

Prints one line that says what was done; ends with another code than 0 where it does not work.
"""

import hashlib
import io
import sys
import tempfile
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

SAMPLES = Path(__file__).parent / "samples"
"""50 ms of silence (Vorbis: 300 ms) as `silence.<suffix>`; made by libsndfile and FFmpeg."""
_CODECS = {"flac": "flac", "mp3": "mp3", "ogg": "vorbis", "aac": "aac"}
_KBIT_PER_S = 32
_SECOND_OPINION_S = 1.0


def try_av() -> str:
    """Every decoder that sources need, by the code that decodes recordings; then Opus there and back."""
    from tenuto.audio.decode import examine  # noqa: PLC0415 -- each library is loaded by its own process alone
    from tenuto.audio.opus import encode_opus  # noqa: PLC0415

    for suffix, codec in _CODECS.items():
        _expect(codec, examine(SAMPLES / f"silence.{suffix}"))
    with tempfile.TemporaryDirectory() as folder:
        derivative = Path(folder) / "silence.opus"
        encode_opus(SAMPLES / "silence.flac", derivative, _KBIT_PER_S)
        _expect("opus", examine(derivative))
    return f"decodes {', '.join(_CODECS.values())}; makes Opus"


def try_soundfile() -> str:
    """A second opinion of a sample."""
    from tenuto.audio.sndfile import second_opinion  # noqa: PLC0415

    for suffix in ("flac", "ogg"):
        with (SAMPLES / f"silence.{suffix}").open("rb") as file:
            opinion = second_opinion(file, _SECOND_OPINION_S)
        if opinion is None or opinion.fault:
            raise RuntimeError(f"libsndfile does not decode {_CODECS[suffix]}: {opinion and opinion.fault}")
    return "libsndfile decodes flac, vorbis"


def try_libtorrent() -> str:
    """A torrent read back by the module that owns libtorrent."""
    from tenuto.crates.hashing import metainfo_of  # noqa: PLC0415
    from tenuto.publication.clients import load_back  # noqa: PLC0415

    block = bytes(16_384)
    leaf = hashlib.sha256(block).digest()
    pieces = hashlib.sha1(block, usedforsecurity=False).digest()
    load_back(metainfo_of("trial.zip", len(block), 2**20, leaf, pieces))
    return "reads a hybrid torrent"


def try_pyrage() -> str:
    """A few bytes sealed and opened as dark crates are."""
    from pyrage import x25519  # noqa: PLC0415

    from tenuto.crates import dark  # noqa: PLC0415

    identity = x25519.Identity.generate()
    if dark.decrypt(dark.encrypt(b"dark", [str(identity.to_public())]), identity, "the trial") != b"dark":
        raise RuntimeError("what was sealed does not open as it was")
    return "seals and opens"


def try_cryptography() -> str:
    """A signature made and verified."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415

    key = Ed25519PrivateKey.generate()
    key.public_key().verify(key.sign(b"index"), b"index")
    return "signs and verifies (Ed25519)"


def try_duckdb() -> str:
    """A sum of a few rows."""
    import duckdb  # noqa: PLC0415

    with duckdb.connect(config={"threads": 1}) as con:
        row = con.execute("SELECT sum(range)::INTEGER FROM range(100)").fetchone()
    if row != (4950,):
        raise RuntimeError(f"the sum of 0 to 99 is 4950, DuckDB says {row}")
    return "counts"


def try_pyarrow() -> str:
    """A table written as Parquet and read back."""
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    table, file = pa.table({"track": ["a", "b"]}), io.BytesIO()
    pq.write_table(table, file, compression="zstd")
    if not pq.read_table(pa.BufferReader(file.getvalue())).equals(table):
        raise RuntimeError("a Parquet table is read otherwise than it was written")
    return "writes and reads Parquet (zstd)"


def try_fastwarc() -> str:
    """It can be loaded; it is native code too."""
    import_module("fastwarc.warc")
    return "loads"


TRIALS: dict[str, Callable[[], str]] = {
    "av": try_av,
    "soundfile": try_soundfile,
    "libtorrent": try_libtorrent,
    "pyrage": try_pyrage,
    "cryptography": try_cryptography,
    "duckdb": try_duckdb,
    "pyarrow": try_pyarrow,
    "fastwarc": try_fastwarc,
}


def _expect(codec: str, examined: object) -> None:
    sound, damage = getattr(examined, "sound", None), getattr(examined, "damage", "")
    if damage or sound is None or sound.codec != codec or not sound.samples_count:
        raise RuntimeError(f"a whole sample of {codec} is not decoded ({damage or 'no decoder knows it'})")


if __name__ == "__main__":
    sys.stdout.write(TRIALS[sys.argv[1]]() + "\n")
