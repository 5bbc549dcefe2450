"""The hash of the code that decides: what belongs to it, and that it follows a change."""

from pathlib import Path

import pytest

from research import provenance


def test_signals_and_simulator_belong_to_it_and_reports_do_not() -> None:
    found = provenance.deciding()
    wanted = {
        "core/strategy/signals.py",
        "core/strategy/library/trend.py",
        "research/simulator/walk.py",
        "research/simulator/kernels.py",
    }
    assert wanted <= set(found)
    assert not {"research/report/page.py", "research/validation/findings.py", "core/errors.py"} & set(found)


def test_a_change_of_a_rule_is_another_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = provenance.code_version()
    names = provenance.deciding()
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((provenance.ROOT / name).read_bytes())
    monkeypatch.setattr(provenance, "ROOT", tmp_path)
    provenance.code_version.cache_clear()
    try:
        assert provenance.code_version() == before
        rule = tmp_path / "core/strategy/library/trend.py"
        rule.write_text(rule.read_text().replace("RSI_STEP = 1e-4", "RSI_STEP = 1e-3"))
        provenance.code_version.cache_clear()
        assert provenance.code_version() != before
    finally:
        provenance.code_version.cache_clear()
