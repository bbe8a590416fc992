# Without its topic a worker is not ready and says which to make; once that is there it
# goes on by itself.
source tests/kafka/lib.sh

make_topics digits.jobs:2 digits.dead:1
write_config "$work/worker.conf" digits
launch_worker 1 "$work/worker.conf"
names_it() {
    [ "$(http_code 1 readyz)" = 503 ] && grep -q "${prefix}digits.results" "$work/http.txt"
}
wait_until names_it
submit digits 20
make_topics digits.results:2
wait_until worker_is_ready 1
collect digits 20
stop_worker 1
