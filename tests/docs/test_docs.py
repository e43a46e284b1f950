"""The documents are true: what they name exists, and what exists is named."""

import re
import shlex
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cyclopts import App
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pydantic import BaseModel

from tenuto.archive import Settings
from tenuto.cli import app
from tenuto.model import errors, findings, statuses, tables
from tenuto.rights import Permission
from tenuto.selection.tables import DRAFTS, TRACKS
from tenuto.sources import KINDS

CHECKOUT = Path(__file__).parents[2]
DOCUMENTS = sorted([*CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").rglob("*.md")])
EVERYWHERE = {"--help", "-h", "--version"}


def document(name: str) -> str:
    file = CHECKOUT / name
    assert file.is_file(), f"{name} is missing"
    return file.read_text(encoding="utf-8")


def section(text: str, heading: str) -> str:
    """A section of a document, without those of its own rank that follow."""
    found = re.search(rf"^(#+) {heading}.*?\n(.*?)(?=^#{{1,3}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found, f"there is no section {heading!r}"
    return found[0]


def codes(text: str) -> set[str]:
    """Every word in backticks."""
    return set(re.findall(r"`([^`\n]+)`", text))


def verbs(of: App = app, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], App]]:
    """Every verb that does something, with its words."""
    for name in of:
        if not name.startswith("-"):
            verb = of[name]
            if verb.default_command:
                yield (*path, name), verb
            yield from verbs(verb, (*path, name))


VERBS = dict(verbs())
OPTIONS = {
    words: {name for argument in verb.assemble_argument_collection() for name in argument.names}
    for words, verb in VERBS.items()
}


def test_there_are_documents_and_verbs_to_test() -> None:
    names = {file.relative_to(CHECKOUT).as_posix() for file in DOCUMENTS}
    assert {"README.md", "CHANGELOG.md", "docs/cli.md", "docs/errors.md", "docs/format.md"} <= names
    assert {("init",), ("source", "add"), ("harvest",), ("catalogue", "build"), ("plan",), ("status",)} <= VERBS.keys()
    assert {"--name", "--permission", "--option", "--archive", "--json"} <= OPTIONS["source", "add"]


# --- the command line


@pytest.mark.parametrize("words", VERBS, ids=" ".join)
def test_a_verb_and_each_of_its_options_stand_in_the_heading_of_its_section(words: tuple[str, ...]) -> None:
    headings = re.findall(r"^### `tenuto (.*)`", document("docs/cli.md"), re.MULTILINE)
    mine = [heading for heading in headings if re.match(rf"{' '.join(words)}(?= |$)", heading)]
    assert len(mine) == 1, f"docs/cli.md needs one heading for tenuto {' '.join(words)}"
    options = {name for name in OPTIONS[words] if name.startswith("--")}
    assert set(re.findall(r"--[a-z-]+", mine[0])) == options
    places = [name.rstrip("S") for name in OPTIONS[words] if not name.startswith("--")]
    assert all(place in mine[0] for place in places), places


def commands(text: str) -> Iterator[str]:
    """Every `tenuto …` in a document: lines of a session, and words in backticks."""
    text = text.replace("\\\n", " ")
    yield from re.findall(
        r"^\s*(?:\$ |run: )?(tenuto [a-z].*)$",
        "".join(re.findall(r"^```.*?^```", text, re.MULTILINE | re.DOTALL)),
        re.MULTILINE,
    )
    yield from re.findall(r"`(tenuto [a-z][^`]*)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))


def words_of(command: str) -> list[str]:
    bare = re.sub(r"[\[\]…]|\.\.\.", " ", re.split(r"[|<>;&]", command)[0])
    return shlex.split(bare, comments=True)[1:]


ALL_COMMANDS = [(file.name, command) for file in DOCUMENTS for command in commands(file.read_text(encoding="utf-8"))]


def test_commands_are_found_in_documents() -> None:
    assert len({command for _, command in ALL_COMMANDS}) > 15


@pytest.mark.parametrize(("file", "command"), sorted(set(ALL_COMMANDS)))
def test_a_command_in_a_document_exists_with_its_options(file: str, command: str) -> None:
    words = words_of(command)
    verb = next((tuple(words[:n]) for n in (2, 1) if tuple(words[:n]) in VERBS), None)
    if verb is None:
        assert any(known[: len(words)] == tuple(words) for known in VERBS), f"{file}: there is no verb in {command!r}"
        return
    used = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert used <= OPTIONS[verb] | EVERYWHERE, f"{file}: {command!r} has options that do not exist"


@pytest.mark.parametrize(
    "command",
    sorted({c for name, c in ALL_COMMANDS if re.search(rf"^\$ {re.escape(c)}$", document("README.md"), re.MULTILINE)}),
)
def test_a_command_of_the_readme_could_be_run_as_it_stands(command: str) -> None:
    app.parse_args(words_of(command), exit_on_error=False, print_error=False)


def test_every_kind_of_source_is_documented() -> None:
    assert set(KINDS) <= codes(document("docs/cli.md"))


def test_every_status_is_documented_with_its_meaning() -> None:
    rows = dict(
        re.findall(r"^\| `(\w+)` \| (.*?) \|$", section(document("docs/cli.md"), "`tenuto status"), re.MULTILINE)
    )
    assert rows == statuses.STATUSES


def settings_of(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        parts = [inner, *getattr(inner, "__args__", ())]
        part = next((one for one in parts if isinstance(one, type) and issubclass(one, BaseModel)), None)
        if part is None or name == "bands":
            yield f"{path}{name}"
        else:
            yield from settings_of(part, f"{path}{name}.NAME." if name == "sources" else f"{path}{name}.")


def test_every_setting_is_documented_and_no_other() -> None:
    written = section(document("docs/cli.md"), "Settings")
    named: set[str] = set()
    for row in re.findall(r"^\| (`.*?) \|", written, re.MULTILINE):
        table = ""
        for code in re.findall(r"`([^`]+)`", row):
            table = table if code.startswith(".") else code.rpartition(".")[0]
            named.add(f"{table}{code}" if code.startswith(".") else code)
    assert named == set(settings_of(Settings))


# --- errors and findings


def test_exit_codes_and_exceptions_are_documented_as_they_are() -> None:
    table = section(document("docs/errors.md"), "Exit codes")
    rows = {int(code): codes(rest) for code, rest in re.findall(r"^\| (\d+) \|(.*)$", table, re.MULTILINE)}
    assert set(rows) == {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 130}
    kinds = {
        name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, Exception)
    }
    assert {name: kind.exit_code for name, kind in kinds.items()} == {
        name: code for code, named in rows.items() for name in named if name in kinds
    }


def test_finding_codes_are_documented_and_no_others() -> None:
    table = section(document("docs/errors.md"), "Findings")
    rows = re.findall(r"^\| `([a-z-]+)` \|([^|]+)\|([^|]+)\|$", table, re.MULTILINE)
    assert sorted(code for code, _, _ in rows) == sorted(findings.CODES)
    assert all(meaning.strip() and advice.strip() for _, meaning, advice in rows)


# --- formats

SCHEMAS = {**tables.TABLES, "tracks.parquet": TRACKS, "drafts.parquet": DRAFTS}


@pytest.mark.parametrize("table", SCHEMAS)
def test_a_table_is_documented_with_its_columns_in_their_order(table: str) -> None:
    row = re.search(rf"^\| `{re.escape(table)}` \| (.*) \|$", document("docs/format.md"), re.MULTILINE)
    assert row, f"docs/format.md has no row for the table {table}"
    columns = re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", row[1]))
    assert [column for column in columns if column in SCHEMAS[table].names] == SCHEMAS[table].names
    assert set(columns) <= {*SCHEMAS[table].names, "value_cap_s"}


def test_every_key_of_a_permission_is_documented() -> None:
    written = section(document("docs/format.md"), "Permission")
    grant = {f"grant.{name}" for name in Permission.model_fields["grant"].annotation.__args__[0].model_fields}  # type: ignore[union-attr]
    harvest = {f"harvest.{name}" for name in Permission.model_fields["harvest"].annotation.model_fields}  # type: ignore[union-attr]
    named: set[str] = set()
    for row in re.findall(r"^\| (`.*?) \|", written, re.MULTILINE):
        for code in re.findall(r"`([^`]+)`", row):
            named.add(f"grant{code}" if code.startswith(".") else code.strip("[]"))
    assert named == (set(Permission.model_fields) - {"harvest"}) | harvest | grant


def test_every_format_has_the_name_that_the_code_writes() -> None:
    written = document("docs/format.md")
    sources = " ".join(file.read_text() for file in (CHECKOUT / "src").rglob("*.py"))
    formats = set(re.findall(r'"(tenuto-[a-z]+-\d+)"', sources))
    assert {"tenuto-permission-1", "tenuto-plan-1", "tenuto-edition-1", "tenuto-harvest-1"} <= formats
    assert set(re.findall(r"tenuto-[a-z]+-\d+", written)) == formats


# --- the rest


@pytest.mark.parametrize("file", DOCUMENTS, ids=lambda file: file.relative_to(CHECKOUT).as_posix())
def test_links_within_the_project_lead_somewhere(file: Path) -> None:
    text = re.sub(r"^```.*?^```", "", file.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" in target or target.startswith("mailto:"):
            continue
        path, _, anchor = target.partition("#")
        place = (file.parent / path).resolve() if path else file
        assert place.exists(), f"{file.name}: {target} leads nowhere"
        assert place.is_relative_to(CHECKOUT), f"{file.name}: {target} leads out of the project"
        if anchor:
            headings = re.findall(r"^#+ (.*)$", place.read_text(encoding="utf-8"), re.MULTILINE)
            slugs = {re.sub(r"[^\w\- ]", "", heading.casefold()).replace(" ", "-") for heading in headings}
            assert anchor in slugs, f"{file.name}: {target} names no heading"


def test_every_file_that_a_document_names_exists() -> None:
    for file in DOCUMENTS:
        text = file.read_text(encoding="utf-8")
        for name in re.findall(r"`((?:docs|src|tests|tools|\.ci)/[\w./-]+)`", text):
            assert (CHECKOUT / name).exists(), f"{file.name} names {name}, which does not exist"


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads(document("pyproject.toml"))["project"]
    reasons = document("docs/decisions/0002-dependencies.md")
    named = {canonicalize_name(word) for word in re.findall(r"[A-Za-z][\w-]+", reasons)}
    wanted = project["dependencies"] + [name for names in project["optional-dependencies"].values() for name in names]
    assert {canonicalize_name(Requirement(line).name) for line in wanted} <= named


def test_decisions_are_numbered_without_gaps() -> None:
    numbers = sorted(int(file.name[:4]) for file in (CHECKOUT / "docs/decisions").glob("[0-9]*.md"))
    assert numbers == list(range(1, len(numbers) + 1))


def test_no_file_names_a_folder_of_one_machine() -> None:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=CHECKOUT,
        capture_output=True,
        check=False,
    )
    if listed.returncode:
        pytest.skip("this is no git checkout")
    files = [CHECKOUT / name for name in listed.stdout.decode().split("\0") if name]
    homes = "home|Users|work|root"
    absolute = re.compile(rf"(?<![\w.~{{}}$-])/(?:{homes})/(?!someone\b)[\w.-]+", re.ASCII)
    found = [
        f"{file.relative_to(CHECKOUT)}: {match}"
        for file in files
        if file.is_file() and b"\0" not in (content := file.read_bytes())
        for match in absolute.findall(content.decode("utf-8", "replace"))
    ]
    assert len(files) > 50
    assert found == []
