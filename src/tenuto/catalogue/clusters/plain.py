"""Names normalised in SQL, where each letter folds by itself; where it does not, Python reads the name (`tenuto.model.names`).

Three alphabets: of Latin and Greek, DuckDB takes accents off; where a mark spells (й, が, ئ) letters stay as they are; of
Devanagari and Thai it puts marks in order. Texts are lower case when they are looked at. Tests hold both ways to agree, letter
by letter and on random text.
"""

from tenuto.model.names import ARTICLES, PEOPLE_WORDS, TITLE_ANDS, TITLE_WORDS

_APOSTROPHES = "''\u2019"
_SIGNS = r'!?,.:"/&\-'
"""Signs that part words, unless more is meant by them."""
_ASCII = "a-z0-9"
_ACCENTED = (
    "\u00df-\u00f6\u00f8-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0180-\u01c3\u01cd-\u01f0\u01f4-\u024f"
    "\u1e00-\u1e99\u1e9c-\u1eff\u0390\u03ac-\u03ce"
)
"""Latin and Greek, but for ligatures such as ĳ."""
_SPELT = (
    "\u0430-\u045f\u048a-\u052f\u05d0-\u05ea\u0620-\u064a"  # Cyrillic, Hebrew, Arabic
    "\u3005\u3041-\u3096\u30a1-\u30fa\u30fc\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3"  # kana, Han, Hangul
)
_MARKED = "\u0900-\u0950\u0958-\u0963\u0966-\u096f\u0e01-\u0e32\u0e34-\u0e3a\u0e40-\u0e4e"
"""Devanagari and Thai, with marks that are to be put in order."""
_SINGLE = (
    "øłđðıħŋŧĸ\u03c2\u0450\u0451\u0453\u045c\u045d\u0622\u0623\u0625\u0640",
    "olddihntk\u03c3\u0435\u0435\u0433\u043a\u0438\u0627\u0627\u0627",
)
"""Letters that DuckDB leaves, and what they fold to: last sigma, Cyrillic with stress, forms of alef; lengthening to nothing."""
_DOUBLE = {"æ": "ae", "œ": "oe", "þ": "th", "ß": "ss"}

_MEANT = "[^ ][!.][^ ]|(^| )[/-]|[/-]( |$)"
"""P!nk, E.T., a dash that parts name and version."""
_MEANT_IN_TITLES = rf"{_MEANT}|, ({ARTICLES}) *$"
_MEANT_IN_CREDITS = rf"{_MEANT}|[,/&]"
_UNEVEN = "^$|^ |  | $"
_MENDED = {" +": " ", f" ({TITLE_ANDS}) ": " and ", " pt( |$)": r" part\1", " vol( |$)": r" volume\1"}
"""What is written out in a title, inside it."""
_UNMENDED = rf"{_UNEVEN}|\b({TITLE_ANDS}|pt|vol|versus|feat|ft|featuring|remix|rmx)\b|\b(part|volume)( [ivx]+\b|$)"
_LETTER = f"{_ASCII}{_ACCENTED}{_SPELT}{_MARKED}"
_FLAT = r"[^()\[\]{}]*"
_GUESTS = rf"^((?:{_FLAT}[(\[]{_FLAT}[)\]])*{_FLAT})[(\[](?:feat|ft|featuring)\.? [{_LETTER}][{_LETTER} .,&{_APOSTROPHES}]*[)\]]"


def plain_titles(query: str) -> str:
    """SQL for the rows of a query and `plain`, the words of its column `said`, articles and all; NULL where Python must read it.

    `said` has at most `FOLDED_MAX` characters.
    """
    mended = "spaced"
    for written, meant in _MENDED.items():
        mended = f"regexp_replace({mended}, '{written}', '{meant}', 'g')"
    return rf"""
        SELECT * EXCLUDE spaced, CASE WHEN NOT regexp_matches(spaced, '{_UNEVEN}|\b({TITLE_WORDS})\b') THEN spaced
                                      WHEN NOT regexp_matches({mended}, '{_UNMENDED}') THEN {mended} END AS plain
        FROM ({_spaced(query, _MEANT_IN_TITLES)})"""


def plain_credits(query: str) -> str:
    """The same for names of people."""
    return rf"""
        SELECT * EXCLUDE spaced, CASE WHEN NOT regexp_matches(spaced, '{_UNEVEN}|\b({PEOPLE_WORDS})\b') THEN spaced END AS plain
        FROM ({_spaced(query, _MEANT_IN_CREDITS)})"""


def without_articles(words: str) -> str:
    """SQL for words without the articles that lead them; the last word stays."""
    return (
        f"CASE WHEN regexp_matches({words}, '^({ARTICLES}) ') THEN regexp_replace({words}, '^(({ARTICLES}) )+', '')"
        f" ELSE {words} END"
    )


def without_guests(tail: str) -> str:
    """SQL for the end of a title (from its first bracket on) without a bracket that lists guests."""
    return rf"""CASE WHEN regexp_matches({tail}, '(?i)[(\[]f(eat|t)') THEN regexp_replace({tail}, '(?i){_GUESTS}', '\1 ')
                     ELSE {tail} END"""


def _spaced(query: str, meant: str) -> str:
    """SQL for the rows and `spaced`, the folded words of `said`; NULL where a letter or a sign is not plain."""
    # One step a SELECT, so that each is computed once; CASE spares most names most of them.
    ascii_and_signs = f"{_ASCII} {_APOSTROPHES}{_SIGNS}"
    return f"""
        SELECT * EXCLUDE (low, kind, bare, flat),
               CASE WHEN kind = 0 OR NOT regexp_matches(flat, '[{_APOSTROPHES}{_SIGNS}]') THEN flat
                    WHEN NOT regexp_matches(flat, '{meant}')
                    THEN trim(regexp_replace(replace(regexp_replace(flat, '[{_APOSTROPHES}]', '', 'g'), '&', ' and '),
                                             '[ {_SIGNS}]+', ' ', 'g')) END AS spaced
        FROM (SELECT *, CASE WHEN kind > 1 AND regexp_matches(bare, '[{_SINGLE[0]}{"".join(_DOUBLE)}]')
                             THEN {_mapped("bare")} ELSE bare END AS flat
              FROM (SELECT *, CASE kind WHEN 2 THEN strip_accents(low) WHEN 4 THEN nfc_normalize(low) WHEN 5 THEN NULL
                                         ELSE low END AS bare
                    FROM (SELECT *, CASE WHEN regexp_full_match(low, '[{_ASCII} ]+') THEN 0
                                         WHEN regexp_full_match(low, '[{ascii_and_signs}]+') THEN 1
                                         WHEN regexp_full_match(low, '[{ascii_and_signs}{_ACCENTED}]+') THEN 2
                                         WHEN regexp_full_match(low, '[{ascii_and_signs}{_SPELT}]+') THEN 3
                                         WHEN regexp_full_match(low, '[{ascii_and_signs}{_MARKED}]+') THEN 4
                                         ELSE 5 END AS kind
                          FROM (SELECT *, lower(said) AS low FROM ({query})))))"""


def _mapped(text: str) -> str:
    found = f"translate({text}, '{_SINGLE[0]}', '{_SINGLE[1]}')"
    for letter, letters in _DOUBLE.items():
        found = f"replace({found}, '{letter}', '{letters}')"
    return found
