"""Hold each package and module to the branch coverage that pyproject.toml asks of it."""

import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def gates(pyproject: Path) -> dict[str, int]:
    """Read the percentages by package or module."""
    table = tomllib.loads(pyproject.read_text())["tool"]["tradedeck"]["coverage"]
    return {str(name): int(percent) for name, percent in table.items()}


def main() -> int:
    """Print each package's report; 1 when any stays below its gate."""
    coverage = [sys.executable, "-m", "coverage"]
    below = []
    for name, percent in gates(ROOT / "pyproject.toml").items():
        sys.stdout.write(f"\n{name}: branch coverage, at least {percent} %\n")
        sys.stdout.flush()
        files = name if name.endswith(".py") else f"{name}/*"
        report = [*coverage, "report", f"--include={files}", f"--fail-under={percent}"]
        if subprocess.run(report, cwd=ROOT, check=False).returncode:
            below.append(f"{name} is below {percent} %")
    sys.stdout.write(f"\ncoverage gates: {'; '.join(below) or 'all reached'}\n")
    return 1 if below else 0


if __name__ == "__main__":
    raise SystemExit(main())
