# The broker's port is open, but nobody answers: the worker waits, not ready, and begins by
# itself once the broker does.
source tests/lib.sh

start_broker digits.{jobs:1,results:1,dead:1}
write_config "$work/worker.conf" digits
submit digits 20
kill -STOP "$broker_pid"
launch_worker 1 "$work/worker.conf"
names_the_broker() {
    [ "$(http_code 1 readyz)" = 503 ] && grep -q "$bootstrap" "$work/http.txt"
}
wait_until names_the_broker
[ "$(http_code 1 healthz)" = 200 ] || fail "waiting for a broker is not unhealthy"
kill -CONT "$broker_pid"
wait_until worker_is_ready 1
collect digits 20
stop_worker 1
