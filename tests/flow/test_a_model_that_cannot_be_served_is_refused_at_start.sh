# Damaged, incomplete or unknown: exit code 2 before a job is touched, with the reason.
source tests/lib.sh

refuse() { # MODEL_FILE TEXT...
    local text
    cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "127.0.0.1:1"; };
models = ( { name = "m"; path = "$1"; } );
routes = ( { input = "a"; output = "b"; dead_letter = "c"; } );
END
    expect_exit 2 "$millrace" worker --config "$work/worker.conf"
    for text in "${@:2}"; do expect "$text" "$work/out"; done
}

head -c 5000 conf/models/digits/model.onnx >"$work/cut.onnx"
refuse "$PWD/$work/cut.onnx" cut.onnx
head -c 5000 /dev/zero >"$work/zero.onnx"
refuse "$PWD/$work/zero.onnx" zero.onnx
refuse "$PWD/$work/missing.onnx" missing.onnx
refuse "$(model_path unknown_ops)" Frobnicate Defenestrate
refuse "$(model_path fixed)" batch
