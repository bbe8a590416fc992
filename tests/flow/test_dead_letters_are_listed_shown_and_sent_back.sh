# Dead letters are listed and shown without payload, and chosen by filter; sent back, they
# are jobs as they came, and one that has been sent back too often is left out.
source tests/lib.sh

dlq() { "$millrace" dlq "$1" --bootstrap "$bootstrap" --topic digits.dead "${@:2}"; }

start_broker digits.{jobs:2,results:2,dead:1}
write_config "$work/worker.conf" digits
start_worker 1 "$work/worker.conf"
printf 'secret-bytes-that-are-no-job' >"$work/noise"
send_raw digits.jobs secret-key "$work/noise" origin=flow
submit digits 1 --model nobody
read_topic digits.dead 2 '' >/dev/null

dlq list >"$work/list"
expect '2 letters' "$work/list"
expect 'byte' "$work/list"
expect 'a model that is not configured' "$work/list"
dlq list --reason 'not configured' --stage decode --json >"$work/list.json"
[ "$(wc -l <"$work/list.json")" -eq 1 ] || fail "the filter took other letters"
expect '"source_topic":"digits.jobs"' "$work/list.json"
dlq list --since 2100-01-01 >"$work/none"
expect '0 letters' "$work/none"

dlq show 0:0 >"$work/shown"
dlq show 0:1 >>"$work/shown"
expect 'header     origin = flow' "$work/shown"
expect 'no job: ' "$work/shown"
expect '  model      nobody' "$work/shown"
expect 'float32 [28,28,1]' "$work/shown"
for file in list list.json shown; do
    for word in secret-bytes secret-key digits-000000; do expect_not "$word" "$work/$file"; done
done
for ((i = 0; i < 2; i++)); do dlq show --payload 0:$i; done >"$work/payload"
expect 'secret-key' "$work/payload"
expect 'id         digits-000000' "$work/payload"
expect_exit 2 dlq show 0:99
expect 'no letter stands at 0:99' "$work/out"
expect_exit 2 dlq show 99
expect_exit 2 dlq list --offsets 5-3

# Nothing is deleted or sent without a choice.
for command in purge replay; do
    expect_exit 2 dlq $command
    expect 'or --all' "$work/out"
done
dlq purge --all --dry-run --json >"$work/purge"
expect '"dry_run":true,"deleted":2,"out_of_reach":0,"kept":0' "$work/purge"
dlq purge --offsets 1 --dry-run --json >"$work/purge"
expect '"deleted":0,"out_of_reach":1,"kept":1' "$work/purge"

dlq replay --all --dry-run --json >"$work/replay"
expect '"dry_run":true,"sent":2,' "$work/replay"
dlq replay --offsets 0 --json >"$work/replay"
expect '"dry_run":false,"sent":1,' "$work/replay"
# The worker gives it up again, and says where it stands now.
read_topic digits.dead 3 '%o %k %h\n' >"$work/dead"
grep '^2 ' "$work/dead" >"$work/again"
expect 'secret-key' "$work/again"
expect 'origin=flow' "$work/again"
expect 'millrace.replay.count=1' "$work/again"
[ "$(grep -o '__connect.errors.topic=' "$work/again" | wc -l)" -eq 1 ] || fail "headers twice"
dlq replay --offsets 2 --replays-max 1 --json >"$work/replay"
expect '"sent":0,' "$work/replay"
expect '"too_often":1' "$work/replay"
stop_worker 1
