#!/bin/sh
# From a fresh clone to the first picture: makes .venv, installs Framecast into it and runs `framecast demo`.
#
#   ./start.sh [options of framecast demo]
#   ./start.sh --install [EXTRA]     only the environment; EXTRA is one of pyproject.toml, all by default
set -eu
cd "$(dirname "$0")"

venv=.venv
extra=all
install_only=
if [ "${1:-}" = --install ]; then
    install_only=yes
    extra=${2:-all}
    shift $#
fi

find_python() {
    for name in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if command -v "$name" >/dev/null 2>&1 &&
            "$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$name"
            return
        fi
    done
    echo "Framecast needs Python 3.11 or newer, and none was found (PYTHON=/path/to/python names one)." >&2
    return 1
}

make_venv() {
    python=$(find_python)
    # Debian ships these two apart from Python.
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        tools/apt.sh "python$version-venv"
    fi
    "$python" -m venv "$venv"
}

stamp=$venv/.installed-$extra
if [ ! -x "$venv/bin/python" ]; then
    make_venv
fi
if [ ! -e "$stamp" ] || [ pyproject.toml -nt "$stamp" ]; then
    echo "Installing Framecast and what it needs into $venv (about a minute)"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --editable ".[$extra]"
    # pip compiles what it copies, which leaves out what it only links to.
    "$venv/bin/python" -m compileall -q src
    touch "$stamp"
fi
if [ -z "$install_only" ]; then
    exec "$venv/bin/framecast" demo "$@"
fi
