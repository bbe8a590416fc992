# File, line, key, value, and the nearest key there is; all of them at once; exit code 2.
source tests/lib.sh

bootstrap=127.0.0.1:1
write_config "$work/good.conf" digits
expect_exit 0 "$millrace" worker --config "$work/good.conf" --check

sed 's/group = /gruop = /; s/port = 0/port = 70000/' "$work/good.conf" >"$work/bad.conf"
expect_exit 2 "$millrace" worker --config "$work/bad.conf" --check
expect "bad.conf:3" "$work/out"
expect "gruop" "$work/out"
expect "group" "$work/out"
expect "bad.conf:4" "$work/out"
expect "70000" "$work/out"

sed 's/model = "digits"/model = "digit"/' "$work/good.conf" >"$work/bad.conf"
expect_exit 2 "$millrace" worker --config "$work/bad.conf" --check
expect "digit" "$work/out"

echo 'kafka = {' >"$work/bad.conf"
expect_exit 2 "$millrace" worker --config "$work/bad.conf" --check
expect "bad.conf" "$work/out"

expect_exit 2 "$millrace" worker --config "$work/none.conf" --check
expect "none.conf" "$work/out"
expect_exit 2 "$millrace" worker --config "$work/good.conf" --check --set worker.thread=1
expect "'threads'" "$work/out"

# The properties that exactly-once rests on are not for the taking.
expect_exit 2 "$millrace" worker --config "$work/good.conf" --check \
    --set kafka.enable_auto_commit=true
expect "enable" "$work/out"
