"""What holds for every file of tests."""

import ast
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))
MARK = re.compile(r"^\s*pytestmark\b", re.MULTILINE)


def _marks(tree: ast.Module) -> list[int]:
    """The places of the marks among the statements of a module."""
    return [
        at
        for at, one in enumerate(tree.body)
        if isinstance(one, ast.Assign) and [ast.unparse(target) for target in one.targets] == ["pytestmark"]
    ]


def _is_above(one: ast.stmt) -> bool:
    """Whether a statement may stand above the mark: the docstring, an import."""
    is_docstring = isinstance(one, ast.Expr) and isinstance(one.value, ast.Constant)
    return is_docstring or isinstance(one, ast.Import | ast.ImportFrom)


def _fault(text: str) -> str:
    tree = ast.parse(text)
    marks = _marks(tree)
    if len(MARK.findall(text)) != len(marks):
        return "pytestmark in a string or within a block marks nothing"
    if len(marks) > 1:
        return "the second pytestmark undoes the first"
    if not all(_is_above(one) for at in marks for one in tree.body[:at]):
        return "pytestmark stands below more than imports"
    return ""


def test_a_mark_of_a_whole_file_stands_directly_below_its_imports() -> None:
    faults = {str(path.relative_to(TESTS)): _fault(path.read_text(encoding="utf-8")) for path in FILES}
    assert len(faults) > 50
    assert {name: fault for name, fault in faults.items() if fault} == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import pytest\npytestmark = pytest.mark.long\n", ""),
        ('"""About."""\nfrom pytest import mark\n\npytestmark = [mark.long]\nA = 1\n', ""),
        ("A = 1\n", ""),
        ('import pytest\nTEXT = """\npytestmark = pytest.mark.long\n"""\n', "in a string"),
        ("import pytest\nA = 1\npytestmark = pytest.mark.long\n", "below more than imports"),
        ("import pytest\nif pytest:\n    pytestmark = pytest.mark.long\n", "within a block"),
        ("import pytest\npytestmark = pytest.mark.long\npytestmark = pytest.mark.x\n", "undoes the first"),
    ],
)
def test_a_mark_that_marks_nothing_is_found(text: str, said: str) -> None:
    assert said in _fault(text)
    assert bool(said) == bool(_fault(text))
