# --help is exit code 0, a wrong word is 2 and points to --help.
source tests/lib.sh

mapfile -t commands < <("$millrace" --help | sed -nE 's/^  ([a-z-]+)  .*/\1/p')
[ "${#commands[@]}" -ge 6 ] || fail "only ${#commands[@]} commands are told"
mapfile -t parts < <(for group in dlq model; do "$millrace" "$group" --help | sed -nE "s/^  ([a-z-]+)  .*/$group \1/p"; done)
for command in "${commands[@]}" "${parts[@]}"; do
    read -ra words <<<"$command"
    expect_exit 0 "$millrace" "${words[@]}" --help
    expect 'usage: millrace' "$work/out"
    expect_exit 2 "$millrace" "${words[@]}" --no-such-flag
done
expect_exit 0 "$millrace" version
expect_exit 0 "$millrace" --version
expect_exit 2 "$millrace" no-such-command
expect_exit 2 "$millrace"
expect_exit 2 "$millrace" model inspect "$work/none.onnx"
expect_exit 1 "$millrace" model test "$work"
expect '0 passed, 1 failed' "$work/out"
