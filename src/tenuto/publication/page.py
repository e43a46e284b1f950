"""The page at the root of a publication: what there is, how to take it, how to prove it; no script, no request."""

import html
import re
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from tenuto.model.statuses import STATUSES
from tenuto.model.units import counted, format_bytes

_DER_PREFIX = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4)."""

_WEB_LINK = re.compile(r"https?://[^\s\x00-\x20\x7f\"'<>\\]+", re.IGNORECASE)
_MAIL = re.compile(r"[\w.+-]+@[\w.-]+", re.ASCII)
_RELATIVE = re.compile(r"(?!/)[\w.~/%()\[\]+@!$',; -]+")  # no colon, ? or #: the path of a file below this page
_KINDS = {"metadata": 0, "evidence": 1, "recordings": 2}  # the order in which they are staged


@dataclass(frozen=True, slots=True)
class CrateLine:
    """One crate as the page lists it."""

    crate: str
    kind: str
    """`recordings`, `metadata` or `evidence`."""
    band: str
    access: str
    """`open` or `dark`."""
    recordings: int
    bytes: int
    revision: int
    torrent: str
    """Relative address; empty for a dark crate."""
    address: str
    """Relative address, or a store's (http, https); empty for a dark crate."""
    magnet: str
    infohash_v2: str


def render_publication(
    archive: str, contact: str, edition: str, tracks: int, statuses: Mapping[str, int], licences: Mapping[str, int],
    crates: Sequence[CrateLine], withdrawals: int, signing_public: str,
) -> bytes:  # fmt: skip
    """The publication's `index.html`; crates stand in the order given, within their kind; `signing_public` is 32 bytes in hex.

    Raises ValueError where the statuses do not add up to the tracks: every track has exactly one.
    """
    if sum(statuses.values()) != tracks:
        raise ValueError(
            f"the statuses add up to {sum(statuses.values()):,}, the edition has {counted(tracks, 'track')}"
        )
    template = files("tenuto.publication").joinpath("page.html").read_text("utf-8")
    given_out = [line for line in crates if line.access == "open"]
    texts = {
        "csp": html.escape(_policy(template)),
        "archive": html.escape(archive),
        "contact": _contact(contact),
        "edition": html.escape(edition),
        "tracks": counted(tracks, "track"),
        "kept": counted(sum(line.recordings for line in given_out), "recording"),
        "crates_open": f"{counted(len(given_out), 'crate')} ({format_bytes(sum(line.bytes for line in given_out))})",
        "dark": _dark(len(crates) - len(given_out)),
        "openssl": html.escape(_openssl(signing_public)),
        "signing_public": html.escape(signing_public),
        "statuses": "\n".join(_status(name, count) for name, count in _most_first(statuses)),
        "total": f"{tracks:,}",
        "withdrawals": counted(withdrawals, "withdrawal"),
        "licences": _licences(licences),
        "crates": _crates(crates),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda match: texts[match[1]], template).encode("utf-8", "replace")


def _policy(template: str) -> str:
    (style,) = re.findall("<style>(.*?)</style>", template, re.DOTALL)
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"


def _contact(contact: str) -> str:
    words = html.escape(contact)
    if _WEB_LINK.fullmatch(contact):
        return f'<a href="{words}" rel="noopener noreferrer">{words}</a>'
    return f'<a href="mailto:{words}">{words}</a>' if _MAIL.fullmatch(contact) else words


def _dark(count: int) -> str:
    """Dark crates are counted, and nothing more is said of them."""
    return f"; {counted(count, 'dark crate')} {'is' if count == 1 else 'are'} kept and not given out" if count else ""


def _openssl(signing_public: str) -> str:
    """The commands that write the key as OpenSSL reads it, and check the raw 64-byte signature with it."""
    key = b64encode(_DER_PREFIX + bytes.fromhex(signing_public)).decode()
    return (
        f"cat > key.pem <<'END'\n-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----\nEND\n"
        "openssl pkeyutl -verify -pubin -inkey key.pem -rawin -in index.json -sigfile index.json.sig"
    )


def _most_first(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


def _status(name: str, count: int) -> str:
    words, why = html.escape(name.replace("_", " ")), html.escape(STATUSES.get(name, ""))
    return f'<tr><th scope="row">{words}</th><td class="figure">{count:,}</td><td class="why">{why}</td></tr>'


def _licences(licences: Mapping[str, int]) -> str:
    if not licences:
        return "<p>None yet.</p>"
    rows = "\n".join(
        f'<tr><th scope="row">{html.escape(name) or "not stated"}</th><td class="figure">{count:,}</td></tr>'
        for name, count in _most_first(licences)
    )
    head = '<tr><th scope="col">Licence</th><th scope="col" class="figure">Tracks</th></tr>'
    foot = f'<tr><th scope="row">Total</th><td class="figure">{sum(licences.values()):,}</td></tr>'
    return f"<table>\n<thead>{head}</thead>\n<tbody>\n{rows}\n</tbody>\n<tfoot>{foot}</tfoot>\n</table>"


def _crates(crates: Sequence[CrateLine]) -> str:
    if not crates:
        return "<p>None yet.</p>"
    ordered = sorted(crates, key=lambda line: _KINDS.get(line.kind, len(_KINDS)))
    head = "".join(f'<th scope="col"{_FIGURE if is_figure else ""}>{name}</th>' for name, is_figure in _HEADS)
    foot = (
        f'<tr><th scope="row">{counted(len(crates), "crate")}</th><td></td>'
        f'<td class="figure" data-name="recordings">{sum(line.recordings for line in crates):,}</td>'
        f'<td class="figure" data-name="size">{format_bytes(sum(line.bytes for line in crates))}</td><td></td></tr>'
    )
    rows = "\n".join(map(_crate, ordered))
    return f'<table class="crates">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n<tfoot>{foot}</tfoot>\n</table>'


_FIGURE = ' class="figure"'
_HEADS = (("Crate", False), ("What", False), ("Recordings", True), ("Size", True), ("Take it", False))


def _crate(line: CrateLine) -> str:
    what = (
        line.kind + (f", {line.band}" if line.band else "") + (f", revision {line.revision}" if line.revision else "")
    )
    digest = (
        f'<code class="hash">{html.escape(line.infohash_v2)}</code>'
        if line.infohash_v2 and line.access == "open"
        else ""
    )
    return (
        f'<tr><th scope="row"><code>{html.escape(line.crate)}</code>{digest}</th><td>{html.escape(what)}</td>'
        f'<td class="figure" data-name="recordings">{line.recordings:,}</td>'
        f'<td class="figure" data-name="size">{format_bytes(line.bytes)}</td><td class="take">{_links(line)}</td></tr>'
    )


def _links(line: CrateLine) -> str:
    """Links to what is given out; an address that is no such thing (a script's, say) is left out."""
    if line.access != "open":
        return "dark: not given out"
    found = [("torrent", line.torrent, _is_file(line.torrent)), ("zip", line.address, _is_file(line.address)),
             ("magnet", line.magnet, line.magnet.startswith("magnet:?"))]  # fmt: skip
    return ", ".join(f'<a href="{html.escape(address)}">{name}</a>' for name, address, is_good in found if is_good)


def _is_file(address: str) -> bool:
    return bool(_RELATIVE.fullmatch(address) or _WEB_LINK.fullmatch(address))
