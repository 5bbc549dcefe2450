"""The mark of what was acknowledged."""

from pathlib import Path

import pytest

from store.journal.mark import Mark, mark_path, read_mark


class TestMark:
    def test_without_one_nothing_was_acknowledged(self, tmp_path: Path) -> None:
        assert read_mark(tmp_path / "j") == (0, 0)

    def test_it_is_there_for_the_next_process_without_closing(self, tmp_path: Path) -> None:
        mark = Mark(tmp_path / "j")
        mark.set(7, 3)
        assert read_mark(tmp_path / "j") == (7, 3)
        mark.close()
        Mark(tmp_path / "j").close()
        assert read_mark(tmp_path / "j") == (7, 3)

    @pytest.mark.parametrize("content", [b"", b"short", bytes(24)])
    def test_an_unreadable_one_says_nothing(self, tmp_path: Path, content: bytes) -> None:
        mark_path(tmp_path / "j").write_bytes(content)
        assert read_mark(tmp_path / "j") == (0, 0)

    def test_one_that_cannot_be_mapped_is_an_error(self, tmp_path: Path) -> None:
        mark_path(tmp_path / "j").symlink_to("/dev/full")
        with pytest.raises(OSError, match="No space left"):
            Mark(tmp_path / "j")
