"""Which crates a mirror takes: what fits, in the order of bands, by its own draw."""

from collections import Counter
from typing import Any

import pytest

from tenuto.archive.settings import MirrorSettings
from tenuto.model.errors import UsageError
from tenuto.publication.documents import FileRef, Index, IndexCrate, LeavesRef, Shards, WithdrawalsRef
from tenuto.swarm.choice import check_choice, choose

NOTHING = FileRef(path="x", bytes=0, sha256="0" * 64)


def a_crate(name: str, size: int, band: str = "heard", *licences: str, kind: Any = "recordings") -> IndexCrate:
    layers = FileRef(path=f"layers/{name}", bytes=-(-size // 16384) * 32, sha256="0" * 64)
    return IndexCrate(
        crate=name, kind=kind, band=band, revision=0, predecessor=None, bytes=size, recordings=1, licences=licences,
        piece_length=2**20, pieces_root="0" * 64, infohash_v1="0" * 40, infohash_v2="0" * 64, leaves=LeavesRef(offset=0, count=0),
        layers=layers, torrent=NOTHING, redacted=(), addresses=(f"crates/{name}.zip",),
    )  # fmt: skip


def an_index(*crates: IndexCrate) -> Index:
    return Index(
        format="tenuto-index-1", archive="testing", contact="x", territory="worldwide", sequence=1,
        published_at="2026-11-20T12:00:00Z", signing_public="0" * 64, edition="e", sources=(), tracks=0, statuses={},
        crates=crates, dark=(), shards=Shards(digits=1, sha256={}), status=NOTHING, feed=NOTHING, page=NOTHING,
        withdrawals=WithdrawalsRef(**NOTHING.model_dump(), entries=0),
    )  # fmt: skip


def a_wish(space: int, salt: str = "0" * 16, **more: Any) -> MirrorSettings:
    return MirrorSettings(of="x", space=space, salt=salt, **more)


def names(index: Index, wish: MirrorSettings, held: tuple[str, ...] = (), begun: tuple[str, ...] = ()) -> list[str]:
    return [crate.crate for crate in choose(index, held, begun, wish).crates]


INDEX = an_index(
    a_crate("meta", 10, "", kind="metadata"), a_crate("proof", 10, "", kind="evidence"),
    *(a_crate(f"h{n}", 100, "heard", "CC0-1.0") for n in range(8)),
    *(a_crate(f"u{n}", 100, "unheard", "CC-BY-4.0", "CC-BY-NC-4.0") for n in range(8)),
)  # fmt: skip


def test_metadata_and_evidence_come_first_then_the_bands_in_order() -> None:
    found = names(INDEX, a_wish(10_000))
    assert set(found[:2]) == {"meta", "proof"}
    assert {name[0] for name in found[2:10]} == {"h"}
    assert {name[0] for name in found[10:]} == {"u"}
    other = names(INDEX, a_wish(10_000, bands=("unheard", "heard")))
    assert {name[0] for name in other[2:10]} == {"u"}


def test_what_does_not_fit_is_left_out_and_what_is_smaller_still_comes() -> None:
    index = an_index(a_crate("large", 1000), a_crate("small", 100))
    for salt in range(20):
        choice = choose(index, (), (), a_wish(500, f"{salt:016x}"))
        assert [crate.crate for crate in choice.crates] == ["small"]
        assert [crate.crate for crate in choice.left_out] == ["large"]
        assert choice.bytes == 100


def test_many_small_mirrors_together_hold_all_and_the_same_one_draws_the_same() -> None:
    drawn: Counter[str] = Counter()
    for salt in range(400):
        wish = a_wish(120, f"{salt:016x}")
        found = names(INDEX, wish)
        assert found == names(INDEX, wish)
        drawn.update(found)
    shares = [drawn[f"h{n}"] for n in range(8)]
    assert sum(shares) == 400
    assert min(shares) > 25, shares  # 50 each on average
    assert drawn["meta"] == 400


def test_a_draw_does_not_depend_on_the_order_of_the_index_or_on_what_joins() -> None:
    wish = a_wish(10_000)
    found = names(INDEX, wish)
    again = names(an_index(*reversed(INDEX.crates)), wish)
    assert [name for name in again if name[0] == "h"] == [name for name in found if name[0] == "h"]
    joined = names(an_index(*INDEX.crates, a_crate("h9", 100)), wish)
    assert [name for name in joined if name != "h9"] == found


def test_what_is_held_stays_before_all_that_is_new() -> None:
    assert set(names(INDEX, a_wish(200), ("u3", "u4"))) == {"u3", "u4"}
    assert set(names(INDEX, a_wish(50), ("u3", "u4"))) == {"u3", "u4"}, (
        "with less space nothing goes, and nothing comes"
    )
    assert set(names(INDEX, a_wish(350), ("u3",), ("u4", "u5"))) == {"u3", "u4", "u5", "meta", "proof"}
    assert len(names(INDEX, a_wish(250), ("u3",), ("u4", "u5"))) == 4
    assert "u3" in names(INDEX, a_wish(10_000, bands=("heard",)), ("u3",)), "what was taken before is kept"


@pytest.mark.parametrize(("patterns", "expected"), [
    (("CC0-1.0",), {"h"}), (("cc-by*",), {"u"}), (("CC-BY-4.0",), set()), (("CC*",), {"h", "u"}), (("CC-BY-4.0", "*NC*"), {"u"}),
])  # fmt: skip
def test_all_licences_of_a_crate_must_be_among_those_that_are_wanted(
    patterns: tuple[str, ...], expected: set[str]
) -> None:
    found = names(INDEX, a_wish(10_000, licences=patterns))
    assert {name[0] for name in found if name not in {"meta", "proof"}} == expected
    assert {"meta", "proof"} <= set(found)


@pytest.mark.parametrize("asked", [{"bands": ("hard",)}, {"licences": ("GPL*",)}], ids=["band", "licence"])
def test_a_wish_that_nothing_meets_is_refused_with_what_there_is(asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError) as said:
        check_choice(INDEX, a_wish(10_000, **asked))
    there = "heard, unheard" if "bands" in asked else "CC-BY-4.0, CC-BY-NC-4.0, CC0-1.0"
    assert str(said.value).endswith(f"there are {there}")


def test_a_wish_whose_crates_are_gone_takes_nothing_and_is_no_fault() -> None:
    """The last crate of a band is withdrawn: the mirror must be able to follow."""
    wish = a_wish(10_000, bands=("gone",), licences=("CC0-1.0",))
    assert names(INDEX, wish) == names(an_index(*INDEX.crates[:2]), wish)


def test_an_empty_publication_and_no_space_give_nothing() -> None:
    assert names(an_index(), a_wish(10)) == []
    assert names(INDEX, a_wish(1)) == []
