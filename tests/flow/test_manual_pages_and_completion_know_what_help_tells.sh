# Every command and flag of --help is on its manual page and in each shell's completion.
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
for command in "${commands[@]}"; do
    read -ra words <<<"$command"
    sed 's/\\-/-/g' "$work/millrace-${command// /-}.1" >"$work/page"
    expect "\\fBmillrace-${command// /-}\\fR" "$work/program.page"
    offered millrace "${words[@]:0:${#words[@]}-1}" "" >"$work/offered"
    grep -qx "${words[-1]}" "$work/offered" || fail "bash does not offer $command"
    offered millrace "${words[@]}" - >"$work/offered"
    sed -n "/^    ('$command')/,/;;\$/p" "$work/zsh" >"$work/zsh.command"
    mapfile -t flags < <("$millrace" "${words[@]}" --help | sed -nE 's/^  (-[^ ]+) .*/\1/p')
    [ "${#flags[@]}" -gt 0 ] || fail "$command has no flags, not even --help"
    for flag in "${flags[@]}"; do
        grep -qx -e "$flag" "$work/offered" || fail "bash does not offer $command $flag"
        grep -qE -- "'[*]?$flag=?\[" "$work/zsh.command" ||
            fail "zsh does not know $command $flag"
        short=-s name=${flag#-}
        if [[ $flag == --* ]]; then short=-l name=${flag#--}; fi
        grep -qF -- "__millrace_in $command' $short $name " "$work/fish" ||
            fail "fish does not know $command $flag"
        expect "\\fB$flag\\fR" "$work/page"
    done
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
for setting in "${settings[@]}"; do expect "\\fB$setting\\fR" "$work/millrace.conf.5"; done
