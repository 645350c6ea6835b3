"""The notes of a release are the changelog's section of the tag's version."""

from __future__ import annotations

from pathlib import Path

import pytest

from mock_fal import __version__
from tests.release_notes import main, release_notes

TAG = f"v{__version__}"
RELEASED = f"# Changelog\n\n## {__version__} (2026-12-01)\n\n- One.\n\n## 0.0.1 (2026-01-01)\n\n- Old.\n"


def test_the_notes_are_the_section_of_the_version() -> None:
    assert release_notes(TAG, RELEASED) == "- One.\n"


def test_a_tag_of_another_version_is_refused() -> None:
    with pytest.raises(ValueError, match=r"the tag is v9\.9\.9, and mock_fal\.__version__ is"):
        release_notes("v9.9.9", RELEASED)


def test_a_changelog_without_the_date_of_the_release_is_refused() -> None:
    with pytest.raises(ValueError, match=r"begins with '## Unreleased'; expected '## .* \(YYYY-MM-DD\)'"):
        release_notes(TAG, "# Changelog\n\n## Unreleased\n")


def test_the_command_prints_the_notes_or_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changelog = tmp_path / "CHANGELOG.md"
    changelog.write_text(RELEASED, "utf-8")
    monkeypatch.setattr("tests.release_notes.CHANGELOG", changelog)
    assert (main([TAG]), capsys.readouterr().out) == (0, "- One.\n")
    assert (main(["v9.9.9"]), main([])) == (1, 1)
    assert capsys.readouterr().err.startswith("the tag is v9.9.9")
