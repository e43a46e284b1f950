"""The media type of a recording by its container and codec (RFC 3533, RFC 5334, RFC 9639, RFC 3003, RFC 4337, RFC 2361)."""

_BY_CONTAINER = {
    "ogg": "audio/ogg", "flac": "audio/flac", "mp3": "audio/mpeg", "mp2": "audio/mpeg", "mp4": "audio/mp4", "wav": "audio/wav",
    "aiff": "audio/aiff", "aac": "audio/aac", "matroska": "audio/x-matroska", "wavpack": "audio/x-wavpack",
    "ape": "audio/x-ape", "tta": "audio/x-tta", "dsf": "audio/x-dsf", "asf": "audio/x-ms-wma", "caf": "audio/x-caf",
}  # fmt: skip


def mime_of(container: str) -> str:
    """`audio/ogg`; application/octet-stream where nobody has agreed on a type."""
    return _BY_CONTAINER.get(container, "application/octet-stream")
