#!/bin/bash
# apicurio.sh - fetches Apicurio Registry, a real schema registry with Confluent's REST API,
# from Maven Central to build/apicurio, and prints the path of its jar.
#
# Needs: java 17, mvn (Debian: maven). 140 MB. `make registry-apicurio` runs tests on it.
set -euo pipefail

version=2.6.13.Final
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
folder=$root/build/apicurio
jar=$folder/apicurio-registry-app-$version-runner.jar

case ${1:-} in
'') ;;
*)
    sed -n '2,5s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
    exit 0 ;;
esac
if [ ! -f "$jar" ]; then
    command -v mvn >/dev/null || { echo "apicurio.sh: mvn is missing: install maven" >&2; exit 1; }
    mkdir -p "$root/build"
    # Fetched aside and moved: a fetch that is cut off leaves no half-filled folder.
    new=$(mktemp -d "$root/build/apicurio.XXXXXX")
    mvn -q -B org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy \
        -Dartifact="io.apicurio:apicurio-registry-app:$version:tar.gz:all" \
        -DoutputDirectory="$new" </dev/null >&2
    tar -xzf "$new"/*.tar.gz -C "$new"
    rm "$new"/*.tar.gz
    chmod 755 "$new"
    rm -rf "$folder"
    mv "$new" "$folder"
fi
echo "$jar"
