# SIGTERM in the middle of work: what was taken is answered and committed, and the next
# worker goes on behind it, so that nothing is lost and nothing comes twice.
source tests/lib.sh

WORKER_EXTRA="drain_timeout_s = 300;" # sanitizers are slow
start_broker text.{jobs:1,results:1,dead:1}
write_config "$work/worker.conf" text
start_worker 1 "$work/worker.conf"
submit text 1500
collect text 50 >"$work/begun.txt" # it is at work
stop_worker 1
start_worker 2 "$work/worker.conf"
collect text 1500
stop_worker 2
