"""Programs that fail, hang or are not there."""

import subprocess
import sys

import pytest

from demo import running
from demo.running import DemoError, run, stop


def test_it_returns_what_the_program_printed_and_typed_is_its_input() -> None:
    code = "import sys; print(sys.stdin.read().upper())"
    assert run([sys.executable, "-c", code], doing="x", say=print, timeout_s=10, typed="a\n").strip() == "A"


def test_a_failure_tells_the_step_the_code_and_the_reason() -> None:
    code = "print('E: no such thing'); print('bye'); raise SystemExit(3)"
    with pytest.raises(DemoError, match=r"^step: .* ended with 3: E: no such thing$"):
        run([sys.executable, "-c", code], doing="step", say=print, timeout_s=10)


def test_a_program_that_is_not_there_is_named() -> None:
    with pytest.raises(DemoError, match="is no-such-program installed"):
        run(["no-such-program"], doing="step", say=print, timeout_s=1)


def test_a_program_that_hangs_is_told_of_and_killed_with_its_children(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "SAY_EVERY_S", 0.1)
    said: list[str] = []
    with pytest.raises(DemoError, match="step: not done after"):
        run(["sh", "-c", "sleep 60 & sleep 60"], doing="step", say=said.append, timeout_s=0.25)
    assert said
    assert all(line.startswith("step … ") for line in said)


@pytest.mark.parametrize(
    ("deaf", "code"), [("", -15), ("signal.signal(15, signal.SIG_IGN); ", -9)], ids=["hears", "deaf"]
)
def test_a_program_that_is_stopped_has_ended_whether_it_hears_or_not(
    monkeypatch: pytest.MonkeyPatch, deaf: str, code: int
) -> None:
    monkeypatch.setattr(running, "STOP_TIMEOUT_S", 0.3)
    words = [sys.executable, "-c", f"import signal, time; {deaf}print('up', flush=True); time.sleep(60)"]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    stop(process)
    assert process.returncode == code
