#!/bin/bash
# packages.sh - installs the Debian packages that are missing.
#
#     tools/packages.sh build    what the worker and its tools are built from
#     tools/packages.sh test     that, and what `make check` needs
#     tools/packages.sh kafka    what a real Apache Kafka for tests needs
#     tools/packages.sh list SET the packages of a set, one a line
#
# Installs as root, or with sudo where that asks for no password; otherwise says what to
# type and fails. Needs: Debian 12 or newer.
set -euo pipefail

build=(gcc make pkg-config libc6-dev protobuf-c-compiler libprotobuf-c-dev librdkafka-dev
    libavro-dev libopenblas-dev libconfig-dev libmicrohttpd-dev libjansson-dev libssl-dev
    zlib1g-dev)
check=(check libsubunit-dev clang-format-14 cppcheck shellcheck curl)
kafka=(openjdk-17-jre-headless maven)

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
    *) return 1 ;;
    esac
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

missing_of() {
    local package
    for package in $(packages_of "$1"); do
        if ! is_installed "$package"; then echo "$package"; fi
    done
}

install_missing() {
    local missing as_root=()
    mapfile -t missing < <(missing_of "$1")
    if [ ${#missing[@]} -eq 0 ]; then return; fi
    echo "packages.sh: installing ${missing[*]}" >&2
    if [ "$(id -u)" -ne 0 ]; then
        if ! sudo -n true 2>/dev/null; then
            die "these packages are missing; type: sudo apt-get install ${missing[*]}"
        fi
        as_root=(sudo -n)
    fi
    # The lists of a fresh container are empty, and old lists name what is gone.
    "${as_root[@]}" apt-get -qq update ||
        echo "packages.sh: the package lists are as old as they were" >&2
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y \
        --no-install-recommends "${missing[@]}" >/dev/null ||
        die "apt-get failed; type: sudo apt-get install ${missing[*]}"
}

case ${1:-} in
build | test | kafka)
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
