#!/bin/sh
# Make .venv/ at the root hold what locks/dev.txt names, and the project itself; with the name of an extra as argument, what
# its lock names too. Quick when nothing changed.
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
extra=${1:-}
extra_stamp=$venv/tradedeck.$extra.stamp
if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ] && [ -x "$venv/bin/tradedeck" ]; then
    made=yes
else
    made=
fi
if [ -n "$extra" ]; then
    [ -f "locks/$extra.txt" ] || stop "there is no extra '$extra': locks/$extra.txt is missing"
    extra_wanted="$wanted $(sha256sum <"locks/$extra.txt")"
    [ -f "$extra_stamp" ] && [ "$(cat "$extra_stamp")" = "$extra_wanted" ] || more=yes
fi
[ -n "$made" ] && [ -z "${more:-}" ] && exit 0

"$python" -c 'import ensurepip, venv' 2>/dev/null ||
    stop "'$python' (Python $version) has no venv module; on Debian and Ubuntu: apt-get install python3-venv"

# One set-up at a time, where the machine has flock; the stamp comes last, so an interrupted set-up is done again.
if command -v flock >/dev/null 2>&1; then
    exec 9>"$root/.setup.lock"
    flock 9
fi
pip() { PIP_DISABLE_PIP_VERSION_CHECK=1 "$venv/bin/python" -m pip install -qq --no-input "$@"; }
locked="--require-hashes --only-binary :all: --no-deps"

make_venv() {
    rm -f "$stamp" "$venv"/tradedeck.*.stamp
    if [ ! -x "$venv/bin/python" ] || [ "$("$venv/bin/python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null)" != "$version" ] ||
        ! grep -qsF "$venv" "$venv/bin/activate"; then
        say "tradedeck set-up: making .venv with Python $version"
        "$python" -m venv --clear "$venv" || stop "could not make $venv; see the lines above"
    fi

    say "tradedeck set-up: installing the locked packages (a minute or two the first time)"
    pip $locked -r locks/dev.txt ||
        stop "the locked packages could not be installed; is a package index reachable, and has it wheels for this machine?"
    pip --no-index --no-build-isolation --no-deps -e . || stop "the project itself could not be installed; see the lines above"
    printf '%s\n' "$wanted" >"$stamp"
}

[ -n "$made" ] || make_venv
if [ -n "$extra" ]; then
    say "tradedeck set-up: installing the packages of '$extra' (some minutes the first time)"
    # shellcheck disable=SC2086
    pip $locked -r "locks/$extra.txt" || stop "the packages of '$extra' could not be installed; see the lines above"
    printf '%s\n' "$extra_wanted" >"$extra_stamp"
fi
say "tradedeck set-up: done; the program is .venv/bin/tradedeck"
