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


def foreign_format(head: bytes) -> str | None:
    """The name of a format that is music but has no decoder here, from a file's first 2048 bytes, or None.

    Source: the signatures of libmagic's `audio` file; tracker modules by their tag at byte 1080.
    """
    if head[1080:1084] in _MODULE_TAGS:
        return "a tracker module (MOD)"
    if head[44:48] == b"SCRM":
        return "a tracker module (S3M)"
    if head[:4] == b"RIFF" and head[8:12] == b"RMID":
        return "MIDI"
    return next((name for magic, name in _FOREIGN if head.startswith(magic)), None)


def looks_like(head: bytes) -> str:
    """What a file that is no audio seems to be, as half a sentence."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "it is an HTML page"
    if start.startswith((b"<?xml", b"{", b"[")):
        return "it is XML or JSON"
    if not head.strip(b"\0"):
        return "it begins with zeros alone"
    if b"\0" not in head and all(byte >= 0x20 or byte in b"\t\r\n\f\x1b" for byte in head):  # noqa: PLR2004 -- printable
        return "it is text"
    return f"its first bytes are {head[:8].hex(' ')}"


_MODULE_TAGS = frozenset(
    {b"M.K.", b"M!K!", b"M&K!", b"N.T.", b"FLT4", b"FLT8", b"4CHN", b"6CHN", b"8CHN", b"OCTA", b"CD81"}
)
_FOREIGN = ((b"MThd", "MIDI"), (b"IMPM", "a tracker module (IT)"), (b"Extended Module: ", "a tracker module (XM)"),
            (b"OKTASONG", "a tracker module (Oktalyzer)"), (b"MTM", "a tracker module (MTM)"), (b"MMD", "a tracker module (MED)"),
            (b"PSID", "a SID tune"), (b"RSID", "a SID tune"), (b"NESM\x1a", "an NSF tune"), (b"Vgm ", "a VGM log"),
            (b"SNES-SPC700", "an SPC tune"), (b"YM5!", "a YM tune"), (b"YM6!", "a YM tune"), (b"OFR ", "OptimFROG"),
            (b"MPCK", "Musepack"), (b"MP+", "Musepack"), (b"0&\xb2u\x8ef\xcf\x11", "Windows Media"),
            (b".RMF", "RealAudio"), (b".ra\xfd", "RealAudio"))  # fmt: skip
