# Every command and flag of --help is on its manual page and in each shell's completion, every
# exit code on its page.
source tests/lib.sh

names_below() { # COMMAND...: the commands that its --help lists
    "$millrace" "$@" --help | sed -nE '/^Commands:/,$s/^  ([a-z-]+)  .*/\1/p'
}
commands=()
for name in $(names_below); do
    mapfile -t parts < <(names_below "$name")
    commands+=("${parts[@]/#/$name }")
    [ "${#parts[@]}" -gt 0 ] || commands+=("$name")
done
[ "${#commands[@]}" -ge 15 ] || fail "only ${#commands[@]} commands are told"

for shell in bash zsh fish; do
    "$millrace" completion $shell >"$work/$shell" || fail "no completion for $shell"
    if command -v $shell >"$work/out"; then
        $shell -n "$work/$shell" || fail "$shell does not understand its completion"
    fi
done
"$millrace" man --list >"$work/pages"
for page in $(<"$work/pages"); do
    "$millrace" man "${page%.*}" >"$work/$page" || fail "there is no page $page"
    if command -v man >"$work/out"; then
        warnings=$(man --warnings -l "$work/$page" 2>&1 >"$work/out" || true)
        [ -z "$warnings" ] || fail "$page: $warnings"
    fi
    if command -v mandoc >"$work/out"; then # a page has no date; its program has a version
        warnings=$(mandoc -T lint -W warning "$work/$page" | grep -v 'missing date' || true)
        [ -z "$warnings" ] || fail "$page: $warnings"
    fi
done

sed 's/\\-/-/g' "$work/millrace.1" >"$work/program.page"

# What bash would offer, given the words of a command line.
source "$work/bash"
compopt() { :; }
offered() { # WORD... the last one is being typed
    COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _millrace
    printf '%s\n' "${COMPREPLY[@]}"
}
none_missing() { # WHO COMMAND: of $work/flags in $work/known
    local missing
    missing=$(grep -vxFf "$work/known" "$work/flags" || true)
    [ -z "$missing" ] || fail "$1 does not know $2 $missing"
}
for command in "${commands[@]}"; do
    read -ra words <<<"$command"
    "$millrace" "${words[@]}" --help | sed -nE 's/^  (-[^ ]+) .*/\1/p' >"$work/flags"
    [ -s "$work/flags" ] || fail "$command has no flags, not even --help"
    offered millrace "${words[@]:0:${#words[@]}-1}" "" >"$work/known"
    grep -qx "${words[-1]}" "$work/known" || fail "bash does not offer $command"
    offered millrace "${words[@]}" - >"$work/known"
    none_missing bash "$command"
    sed -n "/^    ('$command')/,/;;\$/p" "$work/zsh" |
        sed -nE "s/^ *'[*]?(-[A-Za-z-]+)=?\[.*/\1/p" >"$work/known"
    none_missing zsh "$command"
    sed -nE "s/^complete .*'__millrace_in $command' -([ls]) ([^ ]+) .*/-\1\2/p" "$work/fish" |
        sed 's/^-s/-/; s/^-l/--/' >"$work/known"
    none_missing fish "$command"
    sed -nE 's/\\-/-/g; s/^\\fB(-[A-Za-z-]+)\\fR.*/\1/p' "$work/millrace-${command// /-}.1" \
        >"$work/known"
    none_missing "the manual page" "$command"
    "$millrace" "${words[@]}" --help | sed -nE 's/^  ([0-9]+) .*/\1/p' >"$work/flags"
    [ -s "$work/flags" ] || fail "$command has no exit codes"
    sed -nE 's/^\\fB([0-9]+)\\fR.*/\1/p' "$work/millrace-${command// /-}.1" >"$work/known"
    none_missing "the manual page" "exit code of $command"
    expect "\\fBmillrace-${command// /-}\\fR" "$work/program.page"
done

# Values: files, words, settings; "=" is a word of its own to bash.
touch "$work/a file.conf"
[ "$(offered millrace worker --config "$work/a")" = "$work/a file.conf" ] ||
    fail "no file for worker --config"
[ "$(offered millrace worker --config = "$work/a")" = "$work/a file.conf" ] ||
    fail "no file for worker --config="
[ "$(offered millrace schema r)" = result ] || fail "no word for schema"
[ "$(offered millrace worker --set worker.th)" = worker.threads= ] || fail "no setting"

# Every setting of the reference is on the page of the configuration.
mapfile -t settings < <("$millrace" worker --reference | sed -nE 's/^\| `([a-z_]+)`.*/\1/p')
[ "${#settings[@]}" -ge 20 ] || fail "only ${#settings[@]} settings are told"
printf '%s\n' "${settings[@]}" >"$work/flags"
sed -nE 's/^\\fB([a-z_]+)\\fR.*/\1/p' "$work/millrace.conf.5" >"$work/known"
none_missing "the manual page" millrace.conf
