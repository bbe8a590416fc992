# Rows of a file go out as jobs, and as records, and come back as rows: submit and collect
# are killed by -9 in the middle, each twice, and started again; every row is answered once
# in the output, and nothing appears before that.
source tests/lib.sh

rows=12000
start_broker twofold.jobs:4 twofold.results:4 twofold.dead:1 rows:4 scored:4 dead:1
write_rows "$rows"

write_config "$work/worker.conf" twofold
sed -i "s|^routes = ( |&{ input = \"rows\"; output = \"scored\"; dead_letter = \"dead\"; \
model = \"twofold\"; record = { schema = \"row.avsc\"; inputs = { x = ( \"amount\", \"age\" ); }; \
outputs = { y = \"y\"; }; }; }, |" "$work/worker.conf"
start_worker 1 "$work/worker.conf"

submitting() { # AS TOPIC: the command, in $submit
    submit=("$millrace" submit --bootstrap "$bootstrap" --topic "$2" --rows "$work/in.csv"
        --as "$1" --type age=long --id-prefix row- --progress "$work/submitted-$1" --json)
    if [ "$1" = job ]; then
        submit+=(--model-file tests/data/models/twofold.onnx --map "x=amount,age")
    fi
}
collecting() { # AS TOPIC FILE [FLAG]...: the command, in $collect
    collect=("$millrace" collect --bootstrap "$bootstrap" --topic "$2" --as "$1" --id-prefix
        row- --count "$rows" --timeout "$patience_s" --settle 0.2 --answers "$3" --json "${@:4}")
}

figure() { # PROGRESS FILTER: 0 while there is none
    if [ -s "$1" ]; then jq "$2" "$1"; else echo 0; fi
}
is_above_or_over() { [ "$(figure "$1" "$2")" -gt "$3" ] || gone "$4"; }

# Runs "$@", and kills it once the figure in its progress is above what it was.
kill_in_the_middle() { # PROGRESS FILTER COMMAND...
    local before pid
    before=$(figure "$1" "$2")
    "${@:3}" >>"$work/killed.log" 2>&1 &
    pid=$!
    background+=("$pid")
    wait_until is_above_or_over "$1" "$2" "$before" "$pid"
    kill -KILL "$pid" || fail "it was over before the kill: $(tail -n 2 "$work/killed.log")"
    wait "$pid" 2>/dev/null || true
}

kill_both() { # AS FILE
    local seen='[.state.seen[0].seen | explode[] | select(. != 48)] | length'
    for _ in 1 2; do
        kill_in_the_middle "$work/submitted-$1" .rows "${submit[@]}" --rate 6000 --save 0.1
        kill_in_the_middle "$2.millrace-progress" "$seen" "${collect[@]}" --save 0.02
        [ ! -e "$2" ] || fail "$2 is there before it is complete"
    done
    "${submit[@]}" >"$work/submit.json"
    jq -e ".rows == $rows and .bad == 0 and .resumed > 0" "$work/submit.json" >/dev/null ||
        fail "$(<"$work/submit.json")"
    "${collect[@]}" >"$work/collect.json"
    jq -e ".answered == $rows and .malformed == 0" "$work/collect.json" >/dev/null ||
        fail "$(<"$work/collect.json")"
    [ ! -e "$2.millrace-progress" ] || fail "progress was left behind"
}

submitting job twofold.jobs
collecting job twofold.results "$work/jobs.csv"
kill_both job "$work/jobs.csv"
head -n 1 "$work/jobs.csv" >"$work/head"
expect 'id,row,y_0,y_1,z_0,z_1' "$work/head"
# A row's answer follows from its number.
awk -F, -v rows=$rows 'NR > 1 { n = $2; a = n % 1000 + 0.25; b = n % 60
        if (substr($1, 5) + 0 != n || seen[n]++ || $3 != a || $4 != b || $5 != -a || $6 != -b) exit 1 }
    END { if (NR != rows + 1) exit 1 }' "$work/jobs.csv" ||
    fail "not every row is answered once: $(wc -l "$work/jobs.csv")"

submitting record rows
collecting record scored "$work/records.jsonl" --schema "$work/scored.avsc"
kill_both record "$work/records.jsonl"
each_came_back "$work/records.jsonl" "$rows" || fail "not every record came back once"

# A first line that is a row now would give each row another number.
again=("$millrace" submit --bootstrap "$bootstrap" --topic rows --rows "$work/in.csv" --as record
    --progress "$work/submitted-again")
"${again[@]}" >"$work/submit.out"
expect_exit 2 "${again[@]}" --no-header
expect 'is of another file' "$work/out"

# Again into other formats: the same answers, read from the topics' start.
for format in avro npy; do
    collecting job twofold.results "$work/again.$format"
    if [ $format = npy ]; then
        "${collect[@]}" >"$work/out" 2>&1 && fail "a .npy file took two outputs"
        expect 'a .npy file holds one' "$work/out"
    else
        "${collect[@]}" >"$work/collect.json"
        [ "$(head -c 3 "$work/again.avro")" = Obj ] || fail "no container"
    fi
done
stop_worker 1
