"""The folder of music that the service shows: hard links to files that are never changed."""

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

from .debian_music import Package
from .running import DemoError

CHORALES = "chorales"
OWN = "own"
READABLE_SUFFIXES = frozenset({".aac", ".aiff", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav", ".wv"})


def own(folder: Path) -> Package:
    """Take the reader's own folder of music; of its rights we know nothing.

    Raises DemoError if there is no music in it. Hidden files, links and names that are not UTF-8 are left out.
    """
    root = folder.resolve()
    if not root.is_dir():
        raise DemoError(f"MUSIC={folder} is no folder; give one that holds your music")
    music = tuple(sorted(file for file in root.rglob("*") if _is_music(file, root)))
    if not music:
        kinds = " ".join(sorted(READABLE_SUFFIXES))
        raise DemoError(f"MUSIC={folder} holds no music that the service can read ({kinds}); give another folder")
    return Package(OWN, root, root, music, None)


def _is_music(file: Path, root: Path) -> bool:
    inside = file.relative_to(root)
    return (
        file.suffix.lower() in READABLE_SUFFIXES
        and not any(part.startswith(".") for part in inside.parts)
        and _is_utf8(str(inside))
        and file.is_file()
        and not file.is_symlink()
    )


def _is_utf8(name: str) -> bool:
    """Tell names that the service can read from those whose bytes came as lone surrogates."""
    return name == name.encode("utf-8", "ignore").decode("utf-8")


def service_path(package: Package, file: Path) -> PurePosixPath:
    """Say where the service shows a file of `package`: the path that the Subsonic API gives it."""
    return PurePosixPath(package.name, *file.relative_to(package.base).parts)


def assemble(service_root: Path, packages: Sequence[Package], chorales: Sequence[Path]) -> Path:
    """Lay `<service_root>/music` anew and return it: `<package>/…/file` and `chorales/file`.

    Files are hard links, or copies where the file system cannot link; what lay there before is removed.
    """
    music_root = service_root / "music"
    beside = service_root / "music.part"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    for source, place in _places(packages, chorales):
        target = beside / place
        target.parent.mkdir(parents=True, exist_ok=True)
        _link_or_copy(source, target)
    shutil.rmtree(music_root, ignore_errors=True)
    beside.rename(music_root)
    return music_root


def _places(packages: Sequence[Package], chorales: Sequence[Path]) -> Iterator[tuple[Path, PurePosixPath]]:
    for package in packages:
        for file in package.music:
            yield file, service_path(package, file)
    for file in chorales:
        yield file, PurePosixPath(CHORALES, file.name)


def _link_or_copy(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
