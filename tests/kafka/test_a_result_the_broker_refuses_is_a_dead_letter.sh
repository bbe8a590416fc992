# Our own limit is raised past the broker's, so that the broker itself says no.
source tests/kafka/lib.sh

make_topics {wide,digits}.{jobs:1,results:1,dead:1}
write_config "$work/worker.conf" wide digits
write_npy "$work/x.npy" '<f4' '1, 1' 1 '\0\0\200\077'
start_worker 1 "$work/worker.conf" --set producer.message_max_bytes=10000000
for ((i = 0; i < 3; i++)); do
    "$millrace" submit --bootstrap "$bootstrap" --topic "${prefix}wide.jobs" \
        --input "=$work/x.npy" --count 1 --id-prefix "wide-$i-"
    submit digits 50 --first $((i * 50))
done
collect digits 150
read_topic "${prefix}wide.dead" 3 '%h\n' >"$work/dead.txt"
[ "$(grep -c 'too large' "$work/dead.txt")" = 3 ] || fail "the reason is not told"
stop_worker 1
