# A static member that is started again with one more route gets its old partitions back
# from the group, and only those; the new route's must be read, too.
source tests/kafka/lib.sh

make_topics {digits,text}.{jobs:2,results:2,dead:1}
WORKER_EXTRA='membership = "static"; instance = "a";'
write_config "$work/old.conf" digits
write_config "$work/new.conf" digits text
# A restart has to fit into the session.
sed -i 's/session_timeout_ms = 6000/session_timeout_ms = 45000/' "$work"/{old,new}.conf
start_worker a "$work/old.conf"
wait_until metric_is a millrace_partitions_assigned 2
stop_worker a
start_worker a "$work/new.conf"
submit text 20
submit digits 20
collect digits 20
collect text 20
metric_is a millrace_partitions_assigned 4 || fail "not all partitions were assigned"
expect '"event":"partitions_unread"' "$work/worker-a.log"
stop_worker a
