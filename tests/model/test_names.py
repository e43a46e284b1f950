"""Names normalised: spellings that meet, names that do not, hostile text."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenuto.model.names import artist_keys, match_key, parse_release, parse_title, search_key
from tenuto.model.versions import _STEMS, Marks, Versions, read_version, version_of

NAMES = [
    "Song",
    "The Song",
    "Song (Live)",
    "feat. A",
    "A & B",
    "Pt. II",
    "ﬁ",
    "İ",
    "ẞ",
    "ŉ",
    "ΐ",
    "が",
    "ﾊﾟ",
    "هَذا",
    "ا\u064e\u0654",
    "е\u0301\u0308",
    "אָ",
    "क्षि",
    "각",
]
TEXTS = st.one_of(
    st.text(), st.text(st.sampled_from("ab ()[]-.&+$!#'é̀Σς,/ıЙ\u0308")), st.lists(st.sampled_from(NAMES)).map(" ".join)
)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("Beyoncé", "beyonce"),
        ("BEYONCE\u0301", "beyonce"),
        ("Ｂｅｙｏｎｃｅ", "beyonce"),
        ("Motörhead", "motorhead"),
        ("Sigur Rós", "sigur ros"),
        ("Bjørk Ðælœ Łódź", "bjork daeloe lodz"),
        ("STRASSE", "strasse"),
        ("Straße", "strasse"),
        ("İstanbul ılık", "istanbul ilik"),
        ("Μαρία Ἀθῆναι ΟΔΟΣ", "μαρια αθηναι οδοσ"),
        ("Ёлка и йод", "елка и йод"),
        ("їжак", "їжак"),
        ("замо́к", "замок"),
        ("ｶﾞｷﾞｸﾞ", "ガギグ"),
        ("がか", "がか"),
        ("हिन्दी गीत", "हिन्दी गीत"),
        ("เพลงที่รัก", "เพลงที่รัก"),
        ("한국 노래", "한국 노래"),
        ("הַבָּה נָגִילָה", "הבה נגילה"),
        ("مُحَمَّد أحمد آمن", "محمد احمد امن"),
        ("ا\u064e\u0654", "ا"),
        ("ا\u0640\u0653", "ا"),
        ("е\u0301\u0308", "е"),
        ("你好，世界！", "你好 世界"),
        ("Don’t Stop", "dont stop"),
        ("Don't Stop", "dont stop"),
        ("Do\u200bn\u00adt", "dont"),
        ("P!nk", "pink"),
        ("A$AP Rocky", "asap rocky"),
        ("Ty Dolla $ign", "ty dolla sign"),
        ("G.U.Y.", "guy"),
        ("R.E.M", "rem"),
        ("Mr. Brightside", "mr brightside"),
        ("Prelude in C# minor", "prelude in c sharp minor"),
        ("Nocturne in E♭", "nocturne in e flat"),
        ("Rock 'n' Roll", "rock n roll"),
        ("  a \t b\n", "a b"),
        ("???", "???"),
        ("÷", "÷"),
        ("+", "+"),
        ("", ""),
        ("\x00", ""),
        ("a\x00b", "a b"),
        ("\ud800", ""),
        ("x\ud800y", "x y"),
        ("🎵", "🎵"),
        ("🎵 song", "song"),
    ],
)
def test_words_meet_whatever_their_case_width_and_accents_and_keep_their_script(text, key):
    assert search_key(text) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Beatles", "Beatles, The"),
        ("Simon & Garfunkel", "Simon and Garfunkel"),
        ("Feuer & Eis", "Feuer und Eis"),
        ("Rock 'n' Roll", "Rock and Roll"),
        ("Crack, Pt. II", "Crack, Part 2"),
        ("Hits Vol. 1", "Hits Volume 1"),
        ("A vs. B", "a versus b"),
        ("Les Feuilles Mortes", "Feuilles mortes"),
        ("Salt + Pepper", "Salt & Pepper"),
    ],
)
def test_names_meet_whatever_their_articles_and_their_and(one, other):
    assert match_key(one) == match_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Part 1", "Part 2"),
        ("Vol. I", "Vol. II"),
        ("が", "か"),
        ("й", "и"),
        ("की", "का"),
        ("C# minor", "C minor"),
        ("The The", "A"),
        ("???", "!!!"),
        ("E.T.", "and"),
    ],
)
def test_names_that_differ_do_not_meet(one, other):
    assert match_key(one) != match_key(other)


@pytest.mark.parametrize(
    "title",
    [
        "Song",
        "Song - 2009 Remaster",
        "Song (Remastered 2011)",
        "Song [2011 Remastered Version]",
        "Song (Digitally Remastered)",
        "Song - Remasterizado",
        "Song (Remasterisé en 2015)",
        "Song（リマスター）",
        "Song (Album Version)",
        "Song - Single Version",
        "Song (Original Mix)",
        "Song (Bonus Track)",
        "Song (Deluxe Edition)",
        "Song [Main Version]",
        'Song (From "The Film")',
        "Song (feat. A)",
        "Song ft. A",
        "Song featuring A & B",
        "Song [with A]",
        "Song (avec A)",
        "Song (feat. A) - Remastered 2009",
        "Song 【Remastered】",
        "SONG (  Album Version  )",
    ],
)
def test_words_that_leave_the_recording_the_same_are_taken_off(title):
    name = parse_title(title)
    assert (name.key, name.versions, name.marks, name.detail) == ("song", Versions(0), Marks(0), "")


@pytest.mark.parametrize(
    ("title", "versions", "detail"),
    [
        ("Song (Live)", Versions.LIVE, ""),
        ("Song - Live at Wembley 1986", Versions.LIVE, "1986 wembley"),
        ("Song (En Vivo)", Versions.LIVE, ""),
        ("Song (Ao Vivo)", Versions.LIVE, ""),
        ("Song (ライブ)", Versions.LIVE, ""),
        ("Песня (Live)", Versions.LIVE, ""),
        ("Song (라이브)", Versions.LIVE, ""),
        ("Song (Radio Edit)", Versions.EDIT, ""),
        ("Song [Edit]", Versions.EDIT, ""),
        ("Song (Acoustic)", Versions.ACOUSTIC, ""),
        ("Song - Acústico", Versions.ACOUSTIC, ""),
        ("Song (Version acoustique)", Versions.ACOUSTIC, ""),
        ("Song (Unplugged)", Versions.ACOUSTIC, ""),
        ("Song (Karaoke Version)", Versions.KARAOKE, ""),
        ("Song (カラオケ)", Versions.KARAOKE, ""),
        ("Song (Instrumental)", Versions.INSTRUMENTAL, ""),
        ("Song (Demo)", Versions.DEMO, ""),
        ("Song (Take 2)", Versions.DEMO, "2"),
        ("Song (Extended Mix)", Versions.EXTENDED, ""),
        ('Song (12" Mix)', Versions.EXTENDED, ""),
        ("Song (Tim Mason Remix)", Versions.REMIX, "mason tim"),
        ("Song Remix", Versions.REMIX, ""),
        ("Song (feat. A) Remix", Versions.REMIX, ""),
        ("Song [Robin Schulz Remix] (Radio Edit)", Versions.REMIX | Versions.EDIT, "robin schulz"),
        ("Song - Sped Up", Versions.SPEED, ""),
        ("Song (slowed + reverb)", Versions.SPEED, ""),
        ("Song (Re-Recorded)", Versions.RERECORDED, ""),
        ("Song (Taylor's Version)", Versions.NAMED, "taylors"),
        ("Song (Spanish Version)", Versions.NAMED, "spanish"),
        ("Song (Español)", Versions.NAMED, ""),
        ("Song (A Cappella)", Versions.ACAPELLA, ""),
        ("Song (Tribute to A)", Versions.COVER, ""),
        ("Song (Commentary)", Versions.SPOKEN, ""),
    ],
)
def test_words_of_another_recording_are_classes(title, versions, detail):
    name = parse_title(title)
    assert name.key in {"song", "песня"}
    assert name.versions == versions
    assert set(detail.split()) <= set(name.detail.split())


def test_two_venues_and_two_remixers_are_told_apart_and_the_order_of_brackets_is_not():
    assert parse_title("S (Live in Cork)").detail != parse_title("S (Live in Oslo)").detail
    assert parse_title("S (A Remix) [Radio Edit]") == parse_title("S [Radio Edit] (A Remix)")


@pytest.mark.parametrize(
    ("title", "marks"),
    [
        ("S [Explicit]", Marks.EXPLICIT),
        ("S (Clean)", Marks.CLEAN),
        ("S (Album Version (Edited))", Marks.CLEAN),
        ("S - Mono", Marks.MONO),
        ("S (2009 Stereo Mix)", Marks.STEREO),
        ("S (Mono / Remastered)", Marks.MONO),
    ],
)
def test_clean_and_explicit_mono_and_stereo_are_marks(title, marks):
    name = parse_title(title)
    assert (name.key, name.marks) == ("s", marks)


@pytest.mark.parametrize(
    ("title", "key"),
    [
        ("Live and Let Die", "live and let die"),
        ("Live Forever", "live forever"),
        ("Song (Live Your Life)", "song live your life"),
        ("Take Five", "take five"),
        ("Cover Me", "cover me"),
        ("My Song (Light Em Up)", "my song light em up"),
        ("(Live)", "live"),
        ("Remix", "remix"),
        ("Instrumental", "instrumental"),
        ("Song (Clean Bandit", "song clean bandit"),
        ("Feature", "feature"),
        ("With You", "with you"),
        ("[???]", "???"),
        ("Intro (Interlude)", "intro interlude"),
        ("Master of Puppets", "master of puppets"),
        ("Up-Down", "up down"),
        ("C - D", "c d"),
    ],
)
def test_what_only_looks_like_a_version_is_part_of_the_name(title, key):
    name = parse_title(title)
    assert (name.key, name.versions) == (key, Versions(0))


def test_guests_are_listed():
    assert parse_title("Song (feat. B & A, C)").guests == ("a", "b", "c")
    assert parse_title("Song feat. The Weeknd (Live)").guests == ("weeknd",)


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (["A", "B"], ("a", "b")),
        (["A & B"], ("a", "b")),
        (["A feat. B"], ("a", "b")),
        (["Skrillex , Diplo"], ("skrillex", "diplo")),
        (["The Beatles"], ("beatles",)),
        (["Various Artists"], ()),
        (["Unknown"], ()),
        ([], ()),
        (["A", "A"], ("a",)),
        (["???"], ("???",)),
        (["坂本龍一"], ("坂本龍一",)),
    ],
)
def test_people_fall_apart_alike_however_they_are_credited(names, keys):
    assert artist_keys(names) == keys


@pytest.mark.parametrize(
    ("title", "versions"),
    [
        ("Caught in the Act: Live", Versions.LIVE),
        ("Album (Live)", Versions.LIVE),
        ("Live at Leeds", Versions.LIVE),
        ("Long Live", Versions(0)),
        ("Album (Deluxe with Live Tracks)", Versions(0)),
        ("Hits (Karaoke Version)", Versions.KARAOKE),
        ("Songs (Remixes)", Versions(0)),
    ],
)
def test_a_release_speaks_for_its_tracks_only_as_a_whole(title, versions):
    assert parse_release(title) == versions


@pytest.mark.parametrize(
    "text",
    [
        "a" * 10**6,
        "(" * 10**6,
        " - " * 300_000,
        "feat. " * 200_000,
        "é\u0301" * 500_000,
        "(live) " * 150_000,
        "\u200b" * 10**6,
    ],
)
def test_a_megabyte_is_a_name_like_others_and_takes_no_time(text):
    begin = time.process_time()
    assert len(parse_title(text).key) <= 18_000  # NFKD makes at most 18 characters of one
    assert time.process_time() - begin < 1


@given(TEXTS)
def test_normalising_is_idempotent(text):
    assert search_key(search_key(text)) == search_key(text)
    assert match_key(match_key(text)) == match_key(text)


@given(TEXTS)
def test_a_title_has_a_key_if_anything_is_visible_and_it_can_be_stored(text):
    name = parse_title(text)
    assert bool(name.key) == bool(search_key(text))
    "\0".join([name.key, name.detail, *name.guests, *artist_keys([text])]).encode()


WORDS = [
    "live",
    "remix",
    "2011",
    "remastered",
    "version",
    "album",
    "at",
    "wembley",
    "radio",
    "edit",
    "mono",
    "take",
    "clean",
    "edited",
    "12",
    "inch",
    "vip",
    "mix",
    "deluxe",
    "+",
    "video",
    "re",
    "recorded",
    "sing",
    "along",
    "a",
    "cappella",
    "music",
    "from",
    "tv",
    "size",
    "25th",
    "anniversary",
    "off",
    "vocal",
]


@given(st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join))
def test_looking_at_first_letters_finds_what_all_words_find(part):
    assert version_of(part) == read_version(part, frozenset(_STEMS))
