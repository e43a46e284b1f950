"""Python, and each library that Tenuto asks for in the version that it asks for."""

import re
import sys
from importlib import metadata

from tenuto.doctor.result import Result

_TOPIC = "python"
_DISTRIBUTION = "tenuto"
_REQUIREMENT = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)\s*(?:>=\s*([0-9.]+))?")
_BOUND = re.compile(r"(>=|<)\s*([0-9.]+)")


def look(python: tuple[int, int, int] = sys.version_info[:3]) -> list[Result]:
    """Whether this Python and what is installed for it are what `pyproject.toml` asks for."""
    try:
        about = metadata.metadata(_DISTRIBUTION)
    except metadata.PackageNotFoundError:
        said = "Tenuto runs from a folder that is not installed, so nothing says which versions it needs"
        return [Result(_TOPIC, "note", said, "make setup")]
    lacking = [lack for line in about.get_all("Requires-Dist") or () if (lack := _lack_of(line))]
    return [_python(python, about["Requires-Python"] or ""), *lacking]


def requirement_of(library: str) -> str:
    """What pip is to be asked for: `av>=18.1`; the bare name where nothing is said."""
    try:
        lines = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        lines = []
    found = [_REQUIREMENT.match(line) for line in lines]
    return next((match[0].strip() for match in found if match and match[1] == library), library)


def pip_install(requirement: str, *options: str) -> str:
    """The command that installs something for this very Python."""
    return " ".join([sys.executable, "-m pip install", *options, f"'{requirement}'"])


def parts_of(version: str) -> tuple[int, ...]:
    """A version to compare by: 2.1.0rc1 as 2, 1, 0; zeros at its end do not count."""
    numbers = [int(part) for part in re.findall(r"\d+", re.split(r"[a-z+-]", version)[0])]
    while numbers and not numbers[-1]:
        numbers.pop()
    return tuple(numbers)


def _python(python: tuple[int, int, int], wanted: str) -> Result:
    said = ".".join(map(str, python))
    low = max((bound for sign, bound in _BOUND.findall(wanted) if sign == ">="), key=parts_of, default="0")
    above = min((bound for sign, bound in _BOUND.findall(wanted) if sign == "<"), key=parts_of, default="99")
    if parts_of(low) <= python < parts_of(above):
        return Result(_TOPIC, "ok", f"Python {said}, in {sys.prefix}")
    message = f"Python {said} runs Tenuto, which is made and tested for {low} and later, below {above}"
    return Result(_TOPIC, "bad", message, f"install a Python in that range, then: make clean setup PYTHON=python{low}")


def _lack_of(line: str) -> Result | None:
    """What is wrong with one line of requirements; those of developers are left out."""
    match = _REQUIREMENT.match(line)
    if match is None or "extra ==" in line:
        return None
    name, wanted = match[1], match[2] or "0"
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return Result(_TOPIC, "bad", f"the library {name} is not installed", pip_install(match[0].strip()))
    if parts_of(found) >= parts_of(wanted):
        return None
    message = f"{name} {found} is installed, Tenuto needs {wanted} or later"
    return Result(_TOPIC, "bad", message, pip_install(match[0].strip(), "--upgrade"))
