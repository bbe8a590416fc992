#!/bin/bash
# run.sh - models of tables, as scikit-learn, LightGBM, XGBoost and CatBoost export them: every case
# must pass.  The first run installs those and makes the cases.
#
# MILLRACE names another program than build/millrace.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

millrace=${MILLRACE:-build/millrace}
cases=build/tables/cases
venv=build/tables/venv

if [ "${1:-}" = --help ]; then
    sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0
fi

stamp=$({ python3 --version; cat tests/kafka/requirements.txt \
    tests/tables/{make_cases.py,requirements.txt}; } | sha256sum)
if [ "$(cat build/tables/stamp 2>/dev/null)" != "$stamp" ]; then
    rm -rf build/tables
    mkdir -p build/tables
    python3 -m venv "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check \
        -r tests/kafka/requirements.txt -r tests/tables/requirements.txt
    # Many small models: threads would only wait for each other.
    OMP_NUM_THREADS=1 "$venv/bin/python" tests/tables/make_cases.py "$cases"
    echo "$stamp" >build/tables/stamp # last, so that what was cut off is done again
fi
"$millrace" model test "$cases"/*
