"""Several who make one index at once: none takes another's beginning for what a killed one left."""

import tempfile
from concurrent.futures import ThreadPoolExecutor, wait

from tenuto.catalogue.lookup import _made_once


def test_what_one_has_just_begun_another_one_does_not_clear_away(tmp_path, monkeypatch):
    folder, real, others = tmp_path / "lookup" / "index", tempfile.mkdtemp, []

    def make():
        with _made_once(folder) as beside:
            (beside / "file").write_text("whole")

    def begun(**options):
        monkeypatch.setattr(tempfile, "mkdtemp", real)
        beside = real(**options)
        others.append(threads.submit(make))
        wait(others, timeout=0.2)  # where nothing holds it up, it clears away and is done by then
        return beside

    monkeypatch.setattr(tempfile, "mkdtemp", begun)
    with ThreadPoolExecutor(1) as threads:
        make()
        others[0].result()
    assert sorted(path.name for path in folder.parent.rglob("*")) == ["file", "index"]


def test_what_a_killed_one_left_is_cleared_away(tmp_path):
    left = tmp_path / ".making-index-left"
    left.mkdir()
    (left / "file").write_text("half")
    with _made_once(tmp_path / "index") as beside:
        assert not left.exists()
        assert beside.is_dir()
