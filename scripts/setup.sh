#!/bin/sh
# Make .venv/ at the root hold exactly what locks/dev.txt names, and the project itself. Quick when nothing changed.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
cd "$root"
python=${PYTHON:-python3}
venv=$root/.venv
stamp=$venv/tradedeck.stamp

say() { printf '%s\n' "$*" >&2; }
stop() { say "tradedeck set-up: $*"; exit 1; }

command -v "$python" >/dev/null 2>&1 ||
    stop "no '$python' found; install Python 3.11 or newer, or name one: make setup PYTHON=/path/to/python3"
version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])') ||
    stop "'$python' does not run; name a working Python 3.11 or newer: make setup PYTHON=/path/to/python3"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    stop "'$python' is Python $version, tradedeck needs 3.11 or newer; name one: make setup PYTHON=/path/to/python3"

# What the environment was made from: interpreter, place (the editable install names it), lock and project file.
wanted="$version $root $(cat locks/dev.txt pyproject.toml | sha256sum | cut -d ' ' -f 1)"
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$venv/bin/tradedeck" ]; then
    exit 0
fi

"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "'$python' (Python $version) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"

# One set-up at a time, where the machine has flock; the stamp comes last, so an interrupted set-up is done again.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$root/.setup.lock"
    flock 9
fi
rm -f "$stamp"
if [ ! -x "$venv/bin/python" ] || [ "$("$venv/bin/python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)" != "$version" ] ||
    ! grep -qsF "$venv" "$venv/bin/activate"; then
    say "tradedeck set-up: making .venv with Python $version"
    "$python" -m venv --clear "$venv" || stop "could not make $venv; see the lines above"
fi

pip() { PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip install -qq --no-input "$@"; }
say "tradedeck set-up: installing the locked packages (a minute or two the first time)"
pip --require-hashes --only-binary :all: --no-deps -r locks/dev.txt ||
    stop "the locked packages could not be installed; is a package index reachable, and has it wheels for this machine?"
pip --no-index --no-build-isolation --no-deps -e . || stop "the project itself could not be installed; see the lines above"
printf '%s\n' "$wanted" >"$stamp"
say "tradedeck set-up: done; the program is .venv/bin/tradedeck"
