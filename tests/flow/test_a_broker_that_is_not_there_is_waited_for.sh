# No broker: the worker lives, is not ready, says what to do, and stops when asked.
source tests/lib.sh

bootstrap=127.0.0.1:$(free_port)
write_config "$work/worker.conf" digits
launch_worker 1 "$work/worker.conf"
wait_until grep -q "$bootstrap" "$work/worker-1.log"
tells_what_to_do() {
    [ "$(http_code 1 readyz)" = 503 ] && grep -q "$bootstrap answers; check" "$work/http.txt"
}
wait_until tells_what_to_do
[ "$(http_code 1 healthz)" = 200 ] || fail "waiting for a broker is not unhealthy"
metric_is 1 millrace_ready 0 || fail "the metric says ready"
stop_worker 1
