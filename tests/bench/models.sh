#!/bin/bash
# models.sh - Millrace beside ONNX Runtime on every model of the suite; see models.py.
#
#     tests/bench/models.sh --help
#
# Needs what tests/kafka/venv.sh needs, and build/millrace. The models are made at the
# first call, into build/models.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

millrace=${MILLRACE:-build/millrace}
[ -x "$millrace" ] || { echo "models.sh: $millrace is missing: make builds it" >&2; exit 1; }
venv=$(tests/kafka/venv.sh)
case " $* " in
*" --help "* | *" -h "* | *" --list "* | *" --report "*) ;;
*)
    names=$("$venv/bin/python" -B tests/bench/models.py --list "$@")
    # shellcheck disable=SC2086 # a word for each model
    tests/models/make.sh $names
    ;;
esac
# OpenMP and the like in NumPy must not take part.
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
exec "$venv/bin/python" -B tests/bench/models.py "$@"
