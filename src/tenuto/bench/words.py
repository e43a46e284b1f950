"""Words of many scripts, made of syllables: a vocabulary for each language, drawn from by Zipf's law.

No word list was copied: onsets, vowels and codas are typed here, and which follow each other is chance. How many words
there are and how long they are is tuned so that a million titles pack as real ones do (`tenuto.bench.entropy`).
"""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa

from tenuto.bench.chance import F64, I64, Dice

_SEED = 20_260_131
"""Of the vocabularies: they are the same for every catalogue."""

_HANGUL = 0xAC00
_CJK = 0x4E00
_CJK_USED = 3_000
_HIRAGANA, _KATAKANA = 0x3042, 0x30A2


@dataclass(frozen=True, slots=True)
class Language:
    """A language: its ISO 639-1 code, the share of artists who sing in it, and what its syllables are made of.

    `frequent` words come first in its vocabulary. `gap` stands between words. Shares are ours: plausible, not published.
    """

    code: str
    share: float
    onsets: str
    vowels: str
    codas: str
    words: int
    frequent: str = ""
    gap: str = " "


_WEST = "b c d f g h j k l m n p r s t v w st tr ch sh br cr gr pl th bl fl sl dr _ _ _"
_WEST_CODAS = "_ _ _ n r s l t m d ck ng nd st rt y ll x p"
LANGUAGES = (
    Language("en", 0.47, _WEST, "a e i o u a e i o ea ee oo ai ou", _WEST_CODAS, 26_000,
             "the of you a i in to love me my and it on for is your no be do time"),
    Language("es", 0.105, "b c d f g h j l m n p r s t v ll ch ñ tr br _", "a e i o u a o é í á ue ie", "_ _ _ n s r l z",
             9_000, "la de el que mi en y tu te amor los una no por"),
    Language("pt", 0.05, "b c d f g l m n p r s t v ch nh lh br tr _", "a e i o u ã é ê ão ou", "_ _ _ m s r l", 7_000,
             "o a de que meu não do da um amor eu em"),
    Language("fr", 0.045, "b c d f g j l m n p r s t v ch qu tr pl _", "a e i o u é è ê ou eau oi ai à", "_ _ _ n r s t l",
             7_000, "la le de les un l' je et du mon en"),
    Language("de", 0.045, "b d f g h k l m n p r s t w z sch st kl br _", "a e i o u ä ö ü ei au ie", "_ n r s l t ch nd ng rt",
             8_000, "der die und das ich ein du im in nicht"),
    Language("it", 0.025, "b c d f g l m n p r s t v z tr gn ch _", "a e i o u a o i è ò à", "_ _ _ _ n r l s", 6_000,
             "la il di che un amore e mi per"),
    Language("pl", 0.025, "b c d g j k l ł m n p r s t w z cz sz rz ś ż pr _", "a e i o u y ą ę ó ie", "_ _ n k m ć ś ch j",
             6_000, "nie w i na to się mi"),
    Language("tr", 0.022, "b c ç d g h k l m n p r s ş t v y z _", "a e ı i o ö u ü", "_ _ n r l m k z ş", 6_000,
             "bir ben sen gel"),
    Language("sv", 0.025, "b d f g h j k l m n p r s t v st sk _", "a e i o u å ä ö y", "_ n r s t ll ng d", 6_000,
             "jag du och en i är"),
    Language("cs", 0.012, "b c č d h k l m n p r ř s š t v z ž _", "a á e é ě i í o u ů ý", "_ _ n l m t k", 5_000,
             "a na je to se"),
    Language("vi", 0.012, "b c ch đ g h kh l m n ng nh ph qu t th tr v x", "a à ả á ạ ă ơ ờ ê ế ô ồ u ư i iê", "_ _ n ng m c t nh",
             4_000, "em anh yêu người"),
    Language("ru", 0.036, "б в г д ж з к л м н п р с т х ч ш _ ст пр", "а е и о у ы я ю ё а о е", "_ _ _ н р с т л м й к ть", 8_000,
             "я ты в не на и моя мой мы"),
    Language("el", 0.007, "β γ δ ζ θ κ λ μ ν π ρ σ τ φ χ ψ στ _", "α ε η ι ο υ ω ά έ ή ί ό ου ει", "_ _ _ ν ς", 5_000,
             "το η μου της να και"),
    Language("ar", 0.013, "ب ت ج ح خ د ر ز س ش ص ط ع ف ق ك ل م ن ه و ي ا", "_ _ ا و ي _", "_ _ _ ة ن", 6_000, "يا في من على ما"),
    Language("he", 0.006, "א ב ג ד ה ו ז ח ט י כ ל מ נ ס ע פ צ ק ר ש ת", "_ _ ו י _", "_ _ ה ת ים ם ן", 5_000, "של לא אני את על"),
    Language("hi", 0.016, "क ख ग च ज त द न प ब म य र ल व स ह श", "_ ा ि ी ु े ो ै ं", "_ _ न र ल", 6_000, "मेरे तू है के दिल"),
    Language("zh", 0.024, "", "", "", 9_000, gap=""),
    Language("ja", 0.026, "", "", "", 9_000, gap=""),
    Language("ko", 0.026, "", "", "", 8_000),
    Language("th", 0.010, "ก ข ค ง จ ช ด ต ท น บ ป พ ม ย ร ล ว ส ห อ", "า ี ิ ื ุ ู ะ ั _", "_ _ น ง ม ก บ", 5_000, gap=""),
)  # fmt: skip

SHARES = tuple(language.share for language in LANGUAGES)
CODES = tuple(language.code for language in LANGUAGES)
ENGLISH = 0


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """All words, a language's one after the other; those of language `n` are at `base[n]` … `base[n] + size[n] - 1`."""

    words: pa.Array
    base: I64
    size: I64
    gaps: pa.Array


@lru_cache(maxsize=2)
def vocabulary(purpose: str) -> Vocabulary:
    """The words for titles, or those for names (`title`, `name`): capitalised, the frequent ones first."""
    words: list[str] = []
    base, size = [], []
    for number, language in enumerate(LANGUAGES):
        mine = _words(number, language, purpose)
        base.append(len(words))
        size.append(len(mine))
        words += mine
    gaps = pa.array([language.gap for language in LANGUAGES])
    return Vocabulary(pa.array(words), np.array(base), np.array(size), gaps)


def _words(number: int, language: Language, purpose: str) -> list[str]:
    """Words without repeats, short ones first."""
    dice = Dice(_SEED)
    ranks = np.arange(language.words)
    which = ranks + number * 1_000_000
    syllables = 1 + (dice.unit(f"{purpose} length", which) * _reach(ranks, language)).astype(np.int64)
    ends = np.cumsum(syllables)
    draws = dice.bits(f"{purpose} syllables", np.arange(int(ends[-1])) + number * 10_000_000).tolist()
    spoken = list(map(_SPOKEN.get(language.code) or _spoken(language), draws))
    found: dict[str, None] = {} if purpose == "name" else dict.fromkeys(map(_shaped, language.frequent.split()))
    begin = 0
    for end in ends.tolist():
        found[_shaped("".join(spoken[begin:end]))] = None
        begin = end
    found.pop("", None)
    return list(found)


def _reach(ranks: I64, language: Language) -> F64:
    """Syllables at most, growing with the rank: frequent words are short."""
    high = 2.4 if language.code in {"zh", "vi"} else 3.0
    return np.minimum(high, 1.2 + np.log10(ranks + 1) * 0.5)


def _spoken(language: Language) -> Callable[[int], str]:
    """A syllable of onset, vowel and coda for 64 random bits."""
    parts = (language.onsets, language.vowels, language.codas)
    onsets, vowels, codas = ([_part(part) for part in text.split()] for text in parts)
    first, second, third = len(onsets), len(vowels), len(codas)

    def spoken(bits: int) -> str:
        """Sounds that stand first in their list are the commoner: the product of two draws of ten bits."""
        return (
            onsets[(bits & 1023) * (bits >> 10 & 1023) * first >> 20]
            + vowels[(bits >> 20 & 1023) * (bits >> 30 & 1023) * second >> 20]
            + codas[(bits >> 40 & 1023) * (bits >> 50 & 1023) * third >> 20]
        )

    return spoken


def _korean(bits: int) -> str:
    final = (bits >> 40) % 28 if bits % 2 else 0
    return chr(_HANGUL + ((bits >> 8) % 19 * 21 + (bits >> 24) % 21) * 28 + final)


def _chinese(bits: int) -> str:
    return chr(_CJK + (bits >> 8) % _CJK_USED * 5)


def _japanese(bits: int) -> str:
    if bits % 4 == 0:
        return _chinese(bits)
    return chr((_HIRAGANA if bits % 4 == 1 else _KATAKANA) + (bits >> 8) % 75)


_SPOKEN = {"ko": _korean, "zh": _chinese, "ja": _japanese}


def _part(part: str) -> str:
    return "" if part == "_" else part


def _shaped(word: str) -> str:
    """A word as it stands in a title: composed, its first letter large, no mark without a letter before it."""
    if not word.isascii():
        word = unicodedata.normalize("NFC", word)
    while word and unicodedata.category(word[0]).startswith("M"):
        word = word[1:]
    return word[:1].upper() + word[1:]
