# The answer of one model is larger than a message may be: its job alone is given up.
source tests/lib.sh

start_broker {wide,digits}.{jobs:1,results:1,dead:1}
write_config "$work/worker.conf" wide digits
start_worker 1 "$work/worker.conf"
write_npy "$work/x.npy" '<f4' '1, 1' 1 '\0\0\200\077'
"$millrace" submit --bootstrap "$bootstrap" --topic wide.jobs --input "=$work/x.npy" \
    --count 2 --id-prefix wide-
submit digits 40
collect digits 40
read_topic wide.dead 2 '%h\n' >"$work/dead.txt"
expect 'too large' "$work/dead.txt"
[ "$(grep -c 'millrace.model=wide' "$work/dead.txt")" = 2 ] || fail "the model is not named"
stop_worker 1
