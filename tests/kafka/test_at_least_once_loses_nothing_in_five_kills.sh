# The other promise: every job is answered, some perhaps twice.
source tests/kafka/lib.sh

DELIVERY=at_least_once
make_topics digits.{jobs:4,results:4,dead:1}
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf"
start_worker 2 "$work/worker.conf"
submit_among_crashes digits 10000 2500 "$work/worker.conf"
collect digits 10000 --json >"$work/answers.json" || true # 1 where an id comes twice
[ "$(jq .answered "$work/answers.json")" = 10000 ] || fail "jobs were lost"
stop_worker 1
stop_worker 2
