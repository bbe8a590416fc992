#!/bin/bash
# venv.sh - makes build/venv, the Python that tests and benchmarks run in, and prints its
# folder. Quick if it is there and made from this requirements.txt.
#
#     tests/kafka/venv.sh             from tests/kafka/requirements.txt
#     tests/kafka/venv.sh FOLDER      build/venv-FOLDER from tests/FOLDER/requirements.txt
#
# Needs: python3 with venv (Debian: python3-venv).
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
folder=kafka
venv=$root/build/venv

say() { echo "venv.sh: $*" >&2; }
die() { say "$*"; exit 1; }

case ${1:-} in
'') ;;
--help | -h)
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0 ;;
*)
    folder=$1
    venv=$root/build/venv-$folder ;;
esac
requirements=$root/tests/$folder/requirements.txt
if [ ! -f "$requirements" ]; then
    say "there is no tests/$folder/requirements.txt"
    exit 2
fi

command -v python3 >/dev/null || die "python3 is missing: install python3-venv"
stamp=$({ python3 --version; cat "$requirements"; } | sha256sum | cut -d' ' -f1)
if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ]; then
    mkdir -p "$root/build"
    # Two test runs may get here at once; the second waits, and then finds it done.
    exec 9>"$venv.lock"
    flock 9
    if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ]; then
        python3 -m venv --clear "$venv" </dev/null >&2 ||
            die "python3 -m venv failed: install the package python3-venv"
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
            --requirement "$requirements" </dev/null >&2 ||
            die "pip could not install $requirements"
        # Last, so that an install that was cut off is done again.
        echo "$stamp" >"$venv/.stamp"
    fi
fi
echo "$venv"
