"""Names of recordings within a crate: for people, and safe on every file system (docs/format.md, Crate). Pure."""

import re
import unicodedata

COMPONENT_MAX_BYTES = 120
PATH_MAX_UNITS = 180
"""UTF-16 units from the crate's folder on: Windows allows 260 for the whole, the rest is for where it is unpacked."""

AUDIO_FOLDER = "data/audio"

_FORBIDDEN = frozenset('%\\/:*?"<>|')
_JOINERS = frozenset("\u200c\u200d")
"""Format characters that scripts need inside words (zero width non-joiner and joiner)."""

_DEVICES = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|com[0-9¹²³]|lpt[0-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)
_EDGES = ". \u200c\u200d"
"""What no name begins or ends with; a joiner has nothing to join there."""

_SHORTEST = 8
"""Bytes that a long artist or release keeps at least."""


def component(text: str, max_bytes: int = COMPONENT_MAX_BYTES) -> str:
    """A text as one name of a path: NFC, nothing that a file system refuses or that hides something, never empty."""
    kept = "".join(_character(char) for char in unicodedata.normalize("NFC", text))
    composed = unicodedata.normalize("NFC", " ".join(kept.split()))  # what stood between a letter and its mark is gone
    name = _cut(composed.strip(_EDGES), max_bytes).strip(_EDGES) or "_"
    return _cut(f"_{name}", max_bytes).strip(_EDGES) if _DEVICES.fullmatch(name) else name


class Names:
    """Gives each recording of a crate its path; the first spelling of a folder holds for all that fold alike."""

    def __init__(self, crate: str) -> None:
        self._room = PATH_MAX_UNITS - _units(f"{crate}/{AUDIO_FOLDER}/") - len("//")
        self._folders: dict[str, str] = {}
        self._taken: set[str] = set()

    def path(self, artist: str, release: str, number: str, title: str, sha256: str, suffix: str) -> str:
        """`data/audio/<artist>/<release>/<number title> [<id8>].<suffix>`, from the bag's folder on."""
        ending = f" [{sha256[:8]}].{component(suffix, 12).lower()}"
        room = self._room - _units(ending)
        folder = self._spelling(
            component(artist or "unknown artist", max(_SHORTEST, min(COMPONENT_MAX_BYTES, room // 4)))
        )
        folder += "/" + self._spelling(
            component(release or "no release", max(_SHORTEST, min(COMPONENT_MAX_BYTES, room // 3))), folder
        )
        left = max(_SHORTEST, min(COMPONENT_MAX_BYTES - len(ending), room - _units(folder) + 1))
        stem = component(f"{number} {title}".strip(), left)
        path, again = f"{AUDIO_FOLDER}/{folder}/{stem}{ending}", 1
        while _key(path) in self._taken:
            again += 1
            count = f" {again}"
            path = f"{AUDIO_FOLDER}/{folder}/{_cut(stem, left - len(count)).strip(_EDGES) or '_'}{count}{ending}"
        self._taken.add(_key(path))
        return path

    def _spelling(self, name: str, within: str = "") -> str:
        return self._folders.setdefault(_key(f"{within}/{name}"), name)


def _key(path: str) -> str:
    """Equal for paths that some file system takes for one (HFS+ also passes over joiners)."""
    bare = "".join(char for char in path if char not in _JOINERS)
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", bare).casefold())


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _character(char: str) -> str:
    kind = unicodedata.category(char)
    if kind == "Cf" and char not in _JOINERS:
        return ""
    return "_" if char in _FORBIDDEN or kind in {"Cc", "Cs", "Co", "Cn"} else char


def _cut(text: str, max_bytes: int) -> str:
    """As many whole characters as fit, none separated from its marks."""
    encoded = text.encode()
    if len(encoded) <= max_bytes:
        return text
    kept = encoded[:max_bytes].decode(errors="ignore")
    while kept and unicodedata.combining(text[len(kept)]):
        kept = kept[:-1]
    return kept
