"""Which files are audio: by their first bytes, and by their name only as a hint."""

AUDIO_SUFFIXES = frozenset(
    [
        "flac",
        "ogg",
        "oga",
        "opus",
        "mp3",
        "mp2",
        "m4a",
        "m4b",
        "aac",
        "alac",
        "wav",
        "wave",
        "bwf",
        "aif",
        "aiff",
        "aifc",
        "wv",
        "ape",
        "mpc",
        "wma",
        "dsf",
        "dff",
        "tta",
        "spx",
    ]
)
"""Names that promise audio: a file so named that is none is a finding; others are audio only if their bytes say so."""

LOSSLESS_CODECS = frozenset({"flac", "pcm", "alac", "wavpack", "ape", "tta", "dsd"})

_SUFFIX_CODECS = {"flac": True, "wav": True, "aiff": True, "aif": True, "wv": True, "alac": True, "ape": True,
                  "tta": True, "dsf": True, "mp3": False, "ogg": False, "oga": False, "opus": False, "aac": False,
                  "mpc": False, "wma": False, "mp2": False, "spx": False}  # fmt: skip


def sniff(head: bytes) -> str | None:
    """The container that the first 16 bytes announce, or None. An ID3 tag may stand before several: it is `id3`."""
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return "wav"
    if head[:4] == b"FORM" and head[8:12] in {b"AIFF", b"AIFC"}:
        return "aiff"
    if head[4:8] == b"ftyp":
        return "mp4" if head[8:11] in {b"M4A", b"M4B"} else None
    return next((name for magic, name in _MAGIC if head.startswith(magic)), None)


_MAGIC = ((b"fLaC", "flac"), (b"OggS", "ogg"), (b"wvpk", "wavpack"), (b"ID3", "id3"), (b"MAC ", "ape"),
          (b"MPCK", "musepack"), (b"MP+", "musepack"), (b"DSD ", "dsf"))  # fmt: skip


def is_lossless_suffix(suffix: str) -> bool | None:
    """What a file name's ending says where the source says nothing else; None where it may be either (m4a)."""
    return _SUFFIX_CODECS.get(suffix.casefold().lstrip("."))
