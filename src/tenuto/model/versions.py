"""Version words: what is said in a title about which recording it is, apart from the name of the work.

Two kinds. *Other* classes make another recording: live, remix, karaoke. What leaves the recording the same is taken off:
remasters, editions of the album, bonus tracks, as MusicBrainz has it (musicbrainz.org/doc/Recording: mastering makes no new
recording). Between the two stand marks, of which only opposite ones tell recordings apart: clean and explicit, mono and stereo.
"""

import re
from dataclasses import dataclass
from enum import Flag
from functools import lru_cache

from tenuto.model.folding import words_of


class Versions(Flag):
    """Classes of other recordings; a title may be of several."""

    LIVE = 1
    REMIX = 2
    ACOUSTIC = 4
    INSTRUMENTAL = 8
    DEMO = 16
    KARAOKE = 32
    COVER = 64
    EDIT = 128
    EXTENDED = 256
    SPEED = 512
    RERECORDED = 1024
    SPOKEN = 2048
    ACAPELLA = 4096
    NAMED = 8192
    """A version of any other name: "Spanish Version", "Piano Version"."""


class Marks(Flag):
    """What is said of recordings that may be the same; both of a pair are a contradiction."""

    CLEAN = 1
    EXPLICIT = 2
    MONO = 4
    STEREO = 8


@dataclass(frozen=True, slots=True)
class Version:
    """What one part of a title says; `detail` is who remixed it or where it was played, as words."""

    versions: Versions
    marks: Marks
    detail: tuple[str, ...]


_YEAR = r"(?:(?:19|20)\d\d)"
_EDITION = r"(?:edition|version|release|album|reissue|re-issue|mix|ep|single|set|cut)"
_SAME = re.compile(
    rf"(?:{_YEAR}(?: ?-)? )?(?:digital(?:ly)? |newly |24[- ]bit |20[- ]bit )?re-?master(?:ed|ing|iz\w*|is\w*)?\b"
    rf"(?: (?:in |en |edition |version |album )*{_YEAR}| versions?| edition| {_EDITION})*"
    rf"|リマスター(?:版|音源)?|{_YEAR}年?リマスター"
    r"|^bonus(?: ?-?(?:video|tracks?|song|cut|version))*$|^(?:pista|faixa|titre) (?:adicional|bonus|extra|b[oô]nus)$"
    rf"|^(?:super )?(?:deluxe|expanded|special|limited|collector'?s|anniversary|standard|premium|international|ultimate"
    rf"|platinum|gold|complete|{_YEAR}|\d+th anniversary)(?: (?:deluxe|expanded|special|anniversary))*(?: {_EDITION})?$"
    r"|^(?:the )?(?:original |main )?(?:album|single|lp|ep|main|original|studio|standard|regular|full)(?: (?:album|single|studio))?"
    r"(?: (?:version|mix|recording|versao|version[e]?))?$|^version (?:album|original|originale|single|studio)$|^version$|^original$"
    r'|^(?:music |songs? )?(?:featured in|(?:inspired )?(?:by|from)) (?:["\'].*|.*(?:soundtrack|motion picture|film|movie|series'
    r"|musical|o\.?s\.?t\.?|game).*)$|^(?:original )?(?:motion picture )?soundtrack(?: version)?$"
    r"|^(?:amazon|itunes|spotify|exclusive)(?: (?:amazon|itunes|spotify|exclusive|version|edition))*$|^\+ .*(?:video|booklet)s?$"
)
"""Words that leave the recording the same (folded, inside brackets or after a dash)."""

_MARKS = {
    Marks.CLEAN: re.compile(
        r"^(?:(?:album|single) version )?(?:clean|edited|censored|amended|limpia)(?: (?:album )?version)?$"
    ),
    Marks.EXPLICIT: re.compile(
        r"^(?:(?:album|single) version )?(?:explicit|uncensored|dirty|explicita)(?: (?:album )?version)?$"
    ),
    Marks.MONO: re.compile(r"\bmono(?:phonic)?(?: (?:version|mix|single))*\b"),
    Marks.STEREO: re.compile(r"\bstereo(?:phonic)?(?: (?:version|mix))*\b"),
}

_LANGUAGES = (
    r"(?:spanish|english|french|german|italian|japanese|korean|portuguese|chinese|mandarin|cantonese|russian|hindi|tamil|telugu"
    r"|espanol|english|francais|deutsche?|italian[oa]|portugues)"
)
_VERSION = r"(?: (?:version(?:e|en)?|versao|mix|take|edit|recording))?"
_OTHER = {
    Versions.KARAOKE: re.compile(
        r"\bkaraoke\b|カラオケ|노래방|伴奏|\bминус(?:овка)?\b|\bbacking track\b|\bsing ?along\b|\bplayback\b|\bpista\b"
    ),
    Versions.COVER: re.compile(
        r"\btribute\b(?: to)?|\bmade (?:famous|popular) by\b|\bin the style of\b|\boriginally (?:performed|recorded|by)\b(?: by)?"
        r"|\bcover(?: version| of\b)?$|^cover of\b|カバー|翻唱|\bcover version\b"
    ),
    Versions.INSTRUMENTAL: re.compile(
        rf"\binstrumental(?:e|es|is|version)?\b{_VERSION}|インスト(?:ゥルメンタル|ルメンタル)?|纯音乐|純音樂"
        r"|\boff vocal\b|^inst\b\.?$|연주곡"
    ),
    Versions.ACAPELLA: re.compile(rf"\ba[ -]?cap+el+a\b{_VERSION}"),
    Versions.ACOUSTIC: re.compile(
        rf"\bacoustics?\b{_VERSION}|\b(?:version )?acustic[oa]\b|\b(?:version )?acoustique\b|\bakustik\w*|\bunplugged\b"
        rf"|\bакустик\w*|アコースティック|어쿠스틱|\bstripped\b{_VERSION}"
    ),
    Versions.LIVE: re.compile(
        r"^live\b(?! (?:and let|your|my|it|like|for|forever|fast|free|to|while|without|is|life|a|together|long|wire)\b)"
        rf"{_VERSION}|\blive$|\blive (?=(?:at|in|from|on|aus|a|au|en|im)\b)|\blive (?:version|recording|sessions?|take|room)\b"
        r"|\b(?:ao|en|al) vivo\b|\bdal vivo\b|\ben directo?\b|\bem concerto\b|\ben concierto\b|\bin concert\b"
        r"|\bконцерт\w*|\bвживую\b|ライブ|ライヴ|라이브|现场|現場|\b(?:bbc|peel|radio|kexp|spotify) sessions?\b|\bmtv\b"
    ),
    Versions.DEMO: re.compile(
        rf"\bdemos?\b{_VERSION}|\bmaqueta\b|\brough mix\b|\bout-?takes?\b|\brehearsal\b|\b(?:alternat(?:e|ive)|alt\.?|early)"
        r" (?:take|version|mix)\b|^take (?=\d+$)|デモ"
    ),
    Versions.SPEED: re.compile(
        r"\bsped[ -]?up\b|\bspeed[ -]?up\b|\bnightcore\b|\bdaycore\b|\bslowed\b(?: down)?|\breverb\b|\b8d\b(?: audio)?|\bchipmunk\b"
    ),
    Versions.RERECORDED: re.compile(
        r"\bre-?record(?:ed|ing)\b(?: version)?|\b(?:newly|new) recorded\b|\bnew recording\b"
    ),
    Versions.EXTENDED: re.compile(
        r"\bextended\b(?: (?:club|dance|version|mix|remix|edit|play))*|\b12(?:\"|''| ?inch)(?: (?:version|mix|single))?|\bmaxi\b"
        r"|\b(?:long|club) (?:version|mix)\b"
    ),
    Versions.EDIT: re.compile(
        r"\bradio (?:edit|version|mix|cut)\b|\bedit(?:ed version)?$|\b(?:short|tv|video) (?:version|edit|mix|size|ver)\b"
        r"|\bsingle (?:edit|cut)\b|\bedit version\b"
    ),
    Versions.SPOKEN: re.compile(
        r"\bcommentary\b|\binterview\b|\bspoken(?: word)?\b|\baudiobook\b|\bhorspiel\b|\btrack by track\b"
    ),
    Versions.REMIX: re.compile(
        r"\bre-?mix(?:ed|es)?\b(?: by\b)?|\brmx\b|\bre-?works?(?:ed)?\b|\bbootleg\b|\bmash-?up\b|\bvip(?: mix)?\b|\bdub(?:plate)?$"
        r"|\b(?:continuous |dj |mega-?)?mix$|\bmegamix\b|\bmixed\b|\bflip$|\brefix\b|\bre-?edit\b|\bcontinuous mix\b|\bremezcla\b"
        r"|\bремикс\b|リミックス|리믹스"
    ),
    Versions.NAMED: re.compile(
        rf"\b(?:version(?:e|en)?|versao)$|^version\b|\bver\b\.?$|バージョン|버전|版$|^{_LANGUAGES}$"
    ),
}
"""Words that make another recording, in the order in which they are looked for."""

_STEMS = {
    None: "rema digi newl bonu pist faix titr supe delu expa spec limi coll anni stan prem inte ulti plat gold comp albu sing lp ep"
    " main orig stud regu full vers musi song feat insp from by soun moti amaz itun spot excl 24 24bi 20 20bi edit cut",
    Marks.CLEAN: "clea edit cens amen limp",
    Marks.EXPLICIT: "expl unce dirt",
    Marks.MONO: "mono",
    Marks.STEREO: "ster",
    Versions.KARAOKE: "kara back sing play pist",
    Versions.COVER: "trib made styl orig cove",
    Versions.INSTRUMENTAL: "inst off",
    Versions.ACAPELLA: "acap acca a",
    Versions.ACOUSTIC: "acou acus akus unpl stri",
    Versions.LIVE: "live vivo dire conc bbc peel radi kexp spot mtv",
    Versions.DEMO: "demo maqu roug out outt rehe alte alt earl take",
    Versions.SPEED: "sped spee nigh dayc slow reve 8d chip",
    Versions.RERECORDED: "re rere newl new",
    Versions.EXTENDED: "exte 12 12in maxi long club",
    Versions.EDIT: "radi edit shor tv vide sing",
    Versions.SPOKEN: "comm inte spok audi hors trac",
    Versions.REMIX: "remi re rmx rewo boot mash vip dub dubp mix cont mega mixe flip refi reme reed",
    Versions.NAMED: "vers ver span engl fren germ ital japa kore port chin mand cant russ hind tami telu espa deut fran",
}
"""The first four letters of the words by which each class is found; None: what leaves a recording the same."""


def _classes_by_stem() -> dict[str, frozenset[Versions | Marks | None]]:
    stems = {stem for words in _STEMS.values() for stem in words.split()}
    return {stem: frozenset(kind for kind, words in _STEMS.items() if stem in words.split()) for stem in stems}


_BY_STEM = _classes_by_stem()
_ALL = frozenset(_STEMS)
_ASCII_WORD = re.compile("[a-z0-9]+")
_PLAIN_SAME = re.compile(rf"^{_YEAR}|^\+|^\d+th ")

_FILLER_WORDS = "a an and at aus by de del der des du en from im in la le les of on the version versions mix edit"
_FILLERS = frozenset(_FILLER_WORDS.split())
_RELEASE_CLASSES = (
    Versions.LIVE
    | Versions.KARAOKE
    | Versions.COVER
    | Versions.INSTRUMENTAL
    | Versions.ACOUSTIC
    | Versions.DEMO
    | Versions.SPOKEN
)
RELEASE_HINT = (
    r"(?i)\b(live|vivo|directo?|concert|karaoke|tribute|instrumentals?|acoustic|unplugged|demos?|rehearsals?|commentary)\b"
    "|ライブ|カラオケ|라이브"
)
"""A release whose title does not match says nothing about the versions of its tracks (RE2 and `re`)."""
_RELEASE_PART = re.compile(r"[()\[\]{}:/]| - ")
_RELEASE_WHOLE = re.compile(
    r"^(?:live(?: (?:at|in|from|on)\b.*| album| version| recordings?| ep)?|karaoke(?: version)?|a tribute to .*|instrumentals?"
    r"(?: version)?|acoustic(?: version| ep| album| sessions?)?|unplugged|mtv unplugged|(?:the )?demos?|commentary"
    r"|(?:en|ao|al|dal) vivo(?: .*)?|en directo?(?: .*)?|en concert|in concert|.*(?:ライブ|カラオケ|라이브).*)$"
)


@lru_cache(maxsize=100_000)
def version_of(part: str) -> Version | None:
    """What a folded part of a title says about versions; None where it is part of the name."""
    kinds = candidates(part)
    return read_version(part, kinds) if kinds else None


def candidates(part: str) -> frozenset[Versions | Marks | None]:
    """The classes whose words a part may hold, quickly: most parts of titles hold none."""
    if not part.isascii():
        return _ALL
    found: frozenset[Versions | Marks | None] = frozenset()
    for word in _ASCII_WORD.findall(part):
        found |= _BY_STEM.get(word[:4], found)
    return found | {None} if found or _PLAIN_SAME.search(part) else found


def read_version(part: str, kinds: frozenset[Versions | Marks | None]) -> Version | None:
    """As `version_of`, by the words of these classes alone."""
    marks = Marks(0)
    rest = " ".join(part.split())
    for mark, words in _MARKS.items():
        if mark in kinds and words.search(rest):
            marks |= mark
            rest = words.sub(" ", rest).strip()
    without = " ".join(_SAME.sub(" ", rest).split()).strip(" -,/")
    is_same = bool(marks) or without != rest
    versions, rest = Versions(0), without
    for version, words in _OTHER.items():
        if version in kinds and not (versions and version is Versions.NAMED) and words.search(rest):
            versions |= version
            rest = words.sub(" ", rest).strip()
    if not versions:
        return Version(versions, marks, ()) if is_same and not _says(rest) else None
    return Version(versions, marks, _says(rest))


def release_versions(text: str) -> Versions:
    """What the folded title of a release says of all its tracks: "(Live)", ": Live at the Marquee", " - Karaoke"."""
    found = Versions(0)
    parts = [part.strip() for part in _RELEASE_PART.split(text)]
    for part in parts[1:] if len(parts) > 1 else parts:
        if _RELEASE_WHOLE.match(part) and (version := version_of(part)):
            found |= version.versions
    return found & _RELEASE_CLASSES


def _says(rest: str) -> tuple[str, ...]:
    return tuple(word for word in words_of(rest) if word not in _FILLERS)
