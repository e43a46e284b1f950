"""The script in every crate proves it with the standard library alone, and finds what was changed."""

import ast
import subprocess
import sys
import zipfile
from importlib import resources
from pathlib import Path
from random import Random

import pytest

from crate_maker import INFO, Made, make_crate, withdraw_by_hand
from support import need_program
from tenuto.crates.reader import CrateFile
from tenuto.crates.seal import item
from tenuto.crates.torrent import bencode

SCRIPT = Path(str(resources.files("tenuto.crates").joinpath("check_crate.py")))
RUNNER = Path(__file__).parents[2] / "tools/check_crate.py"


def run(*words: str | Path, script: Path = SCRIPT, code: int = 0) -> str:
    command = [sys.executable, "-I", "-S", "-B", str(script), *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (code, ""), done.stdout + done.stderr
    return done.stdout


def unpack(made: Made, folder: Path) -> Path:
    with zipfile.ZipFile(made.path) as archive:
        archive.extractall(folder)
    return folder / made.path.stem


@pytest.mark.parametrize("is_dark", [False, True], ids=["open", "dark"])
def test_a_crate_is_proved_with_and_without_its_torrent(tmp_path: Path, *, is_dark: bool) -> None:
    made = make_crate(tmp_path, (3_000_000, 70_001), is_dark=is_dark)
    assert run(made.path).splitlines() == [f"OK {made.path}"]
    assert run(made.path, made.torrent).splitlines() == [f"OK {made.path}"]


def test_a_crate_of_one_piece_and_one_of_many_lead_to_the_root(tmp_path: Path) -> None:
    for number, sizes in enumerate([(5,), (1_000_000,), (2_097_152,), (9_000_001, 70_000)]):
        made = make_crate(tmp_path / str(number), sizes)
        assert run(made.path, made.torrent).startswith("OK")


def test_an_unpacked_crate_is_proved_by_the_script_inside_it(tmp_path: Path) -> None:
    made = make_crate(tmp_path, mend_tail=lambda tail: [*tail, item("data/check_crate.py", SCRIPT.read_bytes())])
    folder = unpack(made, tmp_path / "out")
    assert run(folder).startswith("OK")
    assert run(script=folder / "data/check_crate.py").startswith("OK")
    (folder / "data/attribution.txt").write_bytes(b"somebody\n")
    assert "data/attribution.txt is not what" in run(script=folder / "data/check_crate.py", code=1)


def test_the_runner_in_tools_is_the_same_script(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    assert run(made.path, made.torrent, script=RUNNER) == run(made.path, made.torrent)


def test_a_revision_is_proved_and_withdrawn_bytes_are_found(tmp_path: Path) -> None:
    made = make_crate(tmp_path, (50_000, 20_001))
    gone = withdraw_by_hand(made, made.songs[:1])
    assert run(gone.path, gone.torrent).startswith("OK")
    other = make_crate(tmp_path / "b", (50_000, 20_001))
    kept = withdraw_by_hand(other, other.songs[:1], with_zeros=False)
    assert "withdrawn on 2026-11-20 is still there" in run(kept.path, code=1)


def test_a_flipped_byte_is_found_in_every_part_of_a_crate(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    entries = CrateFile(made.path).entries
    whole = made.path.read_bytes()
    for at in {entry.offset for entry in entries.values() if entry.bytes} | {10, 40, len(whole) - 3}:
        content = bytearray(whole)
        content[at] ^= 1
        made.path.write_bytes(content)
        assert run(made.path, made.torrent, code=1).splitlines()[-1] == f"DAMAGED {made.path}", at


def test_without_a_torrent_a_flipped_recording_is_found_three_times(tmp_path: Path) -> None:
    made = make_crate(tmp_path, (50_000, 20_001))
    content = bytearray(made.path.read_bytes())
    content[CrateFile(made.path).entries[made.songs[0]].offset + 9] ^= 1
    made.path.write_bytes(content)
    said = run(made.path, code=1)
    assert "cannot be read: Bad CRC-32" in said
    assert "leaves.bin disagrees with 1 blocks" in said


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "bagit.txt").unlink(),
        lambda folder: (folder / "manifest-sha256.txt").unlink(),
        lambda folder: (folder / "data/odd.txt").write_bytes(b""),
        lambda folder: (folder / "odd.txt").write_bytes(b""),
        lambda folder: (folder / "data/link").symlink_to("/etc/hosts") or (folder / "data/attribution.txt").unlink(),
        lambda folder: (folder / "bag-info.txt").write_bytes(INFO.encode(1, 1)),
    ],
)
def test_an_unpacked_crate_with_something_else_in_it_is_damaged(tmp_path: Path, change: object) -> None:
    folder = unpack(make_crate(tmp_path), tmp_path / "out")
    change(folder)  # type: ignore[operator]
    assert run(folder, code=1).splitlines()[-1] == f"DAMAGED {folder}"


@pytest.mark.parametrize("content", [b"", b"PK\5\6" + bytes(18), Random(70).randbytes(70_000), b"l" * 5000])
def test_what_is_no_crate_is_damaged_without_a_traceback(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "a.zip"
    file.write_bytes(content)
    torrent = tmp_path / "a.torrent"
    for metainfo in (content, bencode({"info": 3}), b"d4:infoi3ee", b"99999999999:"):
        torrent.write_bytes(metainfo)
        assert run(file, torrent, code=1).splitlines()[-1] == f"DAMAGED {file}"


@pytest.mark.parametrize("words", [[], ["--help"], ["nowhere.zip"], ["a", "b", "c"]])
def test_words_that_do_not_fit_print_the_usage(words: list[str]) -> None:
    assert "python3 check_crate.py CRATE.zip" in run(*words, code=2)


def test_it_is_short_needs_the_standard_library_alone_and_runs_on_python_3_8() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 8))
    used = {
        alias.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    used |= {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert used <= sys.stdlib_module_names
    assert len(text.splitlines()) < 150


def test_the_python_of_the_system_runs_it(tmp_path: Path) -> None:
    made = make_crate(tmp_path)
    done = subprocess.run([need_program("python3"), SCRIPT, made.path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"OK {made.path}\n")
