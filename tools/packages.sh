#!/bin/bash
# packages.sh - installs the Debian packages that are missing.
#
#     tools/packages.sh build    what the worker and its tools are built from
#     tools/packages.sh test     that, and what `make check` needs
#     tools/packages.sh kafka    what a real Apache Kafka needs, and Python for its tests
#     tools/packages.sh fuzz     what `make fuzz-codec` and `make fuzz-model` need
#     tools/packages.sh aarch64  what `make aarch64` needs
#     tools/packages.sh simde    what `make avx512` needs
#     tools/packages.sh list SET the packages of a set, one a line
#
# Says nothing if none is missing. Installs as root, or with sudo where that asks for no
# password; otherwise says what to type and fails. Needs: Debian 12.
set -euo pipefail

build=(gcc make pkg-config libc6-dev protobuf-c-compiler libprotobuf-c-dev librdkafka-dev
    libopenblas-dev libconfig-dev libmicrohttpd-dev libjansson-dev
    libcurl4-openssl-dev libssl-dev libdeflate-dev libsnappy-dev libzstd-dev)
kafka=(default-jre-headless maven python3-venv)
check=(check libsubunit-dev libavro-dev clang-format-14 cppcheck shellcheck curl jq kcat openssl
    "${kafka[@]}")
fuzz=(clang-14 libclang-rt-14-dev)
aarch64=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
simde=(libsimde-dev)

usage() { sed -n '2,/^set /{/^# /s/^# //p;/^#$/s/^#//p}' "${BASH_SOURCE[0]}"; }

die() {
    echo "packages.sh: $*" >&2
    exit 1
}

packages_of() {
    case $1 in
    build) printf '%s\n' "${build[@]}" ;;
    test) printf '%s\n' "${build[@]}" "${check[@]}" ;;
    kafka) printf '%s\n' "${kafka[@]}" ;;
    fuzz) printf '%s\n' "${build[@]}" "${fuzz[@]}" ;;
    aarch64) printf '%s\n' "${build[@]}" "${aarch64[@]}" ;;
    simde) printf '%s\n' "${build[@]}" "${check[@]}" "${simde[@]}" ;;
    *) return 1 ;;
    esac
}

missing_of() {
    packages_of "$1" | sort -u | comm -23 - <(
        dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null |
            sed -n 's/ installed$//p' | sort -u)
}

install_missing() {
    local missing typed as_root=()
    mapfile -t missing < <(missing_of "$1")
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    typed="sudo apt-get update && sudo apt-get install -y ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            die "${#missing[@]} packages are missing; type: $typed"
        fi
        as_root=(sudo -n)
    fi
    echo "packages.sh: installing ${missing[*]}" >&2
    # The lists of a fresh container are empty, and old lists name what is gone.
    "${as_root[@]}" apt-get -qq update </dev/null ||
        echo "packages.sh: the package lists are as old as they were" >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
        -o DPkg::Lock::Timeout=120 --no-install-recommends "${missing[@]}" \
        </dev/null >/dev/null || die "apt-get failed; type: $typed"
}

case ${1:-} in
build | test | kafka | fuzz | aarch64 | simde)
    command -v dpkg-query >/dev/null ||
        die "this is no Debian: install what these are called here: $(packages_of "$1" | xargs)"
    install_missing "$1"
    ;;
list) packages_of "${2:-build}" || die "there is no set $2" ;;
--help | -h) usage ;;
*)
    usage >&2
    exit 2
    ;;
esac
