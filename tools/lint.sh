#!/bin/bash
# lint.sh - static analysis: cppcheck over the C files, shellcheck over the scripts.
# Exits 1 if either has anything to say.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

need() {
    command -v "$1" >/dev/null || {
        echo "lint.sh: $1 is not there: tools/packages.sh test installs it" >&2
        exit 1
    }
}

lint_c() {
    mkdir -p build/cppcheck
    # Style stays with clang-format and readers; libraries' headers are not ours to
    # check. Suppressed are cppcheck 2.10's own faults: it does not see that a NULL domain
    # takes the other branch, and cannot read the bounds -0x1p63 and 0x1p63.
    cppcheck --quiet --std=c11 --language=c --error-exitcode=1 -j "$(nproc)" \
        --cppcheck-build-dir=build/cppcheck --inline-suppr \
        --enable=warning,performance \
        --suppress=missingIncludeSystem --suppress=unmatchedSuppression \
        --suppress=nullPointer:worker/engine/onnx_import.c \
        --suppress=incorrectLogicOperator:worker/engine/ops/cast.c \
        --suppress=incorrectLogicOperator:worker/engine/ops/pow.c \
        --suppress=incorrectLogicOperator:worker/engine/ops/number.h \
        --library=posix -D__GNUC__ -D_POSIX_C_SOURCE=200809L -I worker -I . worker tools
}

# Every file that starts as a shell script.
lint_shell() {
    grep -rlE '^#!(/bin/|/usr/bin/env )(ba)?sh' .ci tools tests |
        xargs -r shellcheck -x -S info
}

need cppcheck
need shellcheck
lint_c
lint_shell || exit 1
