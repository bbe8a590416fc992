# Over HTTPS the registry's certificate is checked; where it asks for a client's
# certificate, a password or a token, these open it and nothing else does. What is secret
# is in no message.
source tests/lib.sh

start_registry
register_schema orders-value '{"type": "record", "name": "Order", "fields": [
    {"name": "a", "type": "float"}, {"name": "b", "type": "float"}]}' >"$work/id"

certificate() { # NAME: signed by itself
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 \
        -subj "/CN=$1" -keyout "$work/$1.key" -out "$work/$1.crt" 2>>"$work/openssl.log"
}
issue() { # NAME CA [SUBJECT ALTERNATIVE NAME]
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj "/CN=$1" \
        -keyout "$work/$1.key" -out "$work/$1.csr" 2>>"$work/openssl.log"
    openssl x509 -req -in "$work/$1.csr" -CA "$work/$2.crt" -CAkey "$work/$2.key" \
        -CAcreateserial -days 2 -out "$work/$1.crt" \
        -extfile <(echo "subjectAltName=${3:-DNS:client}") 2>>"$work/openssl.log"
}
certificate ca
certificate stranger
issue server ca IP:127.0.0.1
issue elsewhere ca DNS:elsewhere.example
issue client ca
issue intruder stranger
openssl ec -aes256 -in "$work/client.key" -out "$work/locked.key" -passout pass:opensesame \
    2>>"$work/openssl.log"
for name in server elsewhere; do cat "$work/$name.crt" "$work/$name.key" >"$work/$name.pem"; done

guard() { # NAME CERTIFICATE [FLAG]...; its URL goes to ${url[NAME]}
    "${PYTHON:?}" tests/registry/guard.py "$registry" --cert "$work/$2.pem" \
        --address "$work/$1.url" "${@:3}" >"$work/$1.log" 2>&1 &
    background+=("$!")
    wait_until test -s "$work/$1.url"
    url[$1]=$(<"$work/$1.url")
}
declare -A url=()
guard open server
guard elsewhere elsewhere
guard certificates server --client-ca "$work/ca.crt"
guard passwords server --user "shop:hush-hush"
guard tokens server --token t0ken-of-ours

cat >"$work/worker.conf" <<END
kafka = { bootstrap_servers = "127.0.0.1:1"; };
registry = { ca_file = "ca.crt"; };
models = ( { name = "twofold"; path = "$PWD/tests/data/models/twofold.onnx"; } );
routes = ( { input = "orders"; output = "scored"; dead_letter = "dead"; model = "twofold";
    record = { inputs = [ "a", "b" ]; }; } );
END
asks() { # EXIT GUARD TEXT [SETTING]...
    local settings=() setting
    for setting in "${@:4}"; do settings+=(--set "registry.$setting"); done
    expect_exit "$1" "$millrace" worker --config "$work/worker.conf" --check \
        --set "registry.urls=${url[$2]}" "${settings[@]}"
    expect "$3" "$work/out"
    for setting in hush-hush wrong-word t0ken opensesame; do expect_not "$setting" "$work/out"; done
}

asks 0 open fine
asks 1 open "SSL certificate problem" ca_file=stranger.crt
asks 1 elsewhere "subject name" # the certificate is another host's

client=(certificate_file=client.crt key_file=client.key)
asks 0 certificates fine "${client[@]}"
asks 0 certificates fine certificate_file=client.crt \
    key_file=locked.key key_password=opensesame
asks 1 certificates "schema registry ${url[certificates]}: "
asks 1 certificates "schema registry ${url[certificates]}: " certificate_file=intruder.crt \
    key_file=intruder.key
asks 1 certificates 'unable to set private key file' certificate_file=client.crt \
    key_file=locked.key key_password=wrong-word

asks 0 passwords fine user=shop password=hush-hush
asks 1 passwords 'answers 401' user=shop password=wrong-word
asks 1 passwords 'answers 401'

asks 0 tokens fine token=t0ken-of-ours
asks 1 tokens 'answers 401' token=wrong-word
asks 1 tokens 'answers 401' user=shop password=hush-hush
asks 2 tokens 'registry.token goes without registry.user' token=t0ken-of-ours user=shop

# Several URLs: the first that answers.
url[several]=https://127.0.0.1:1,${url[tokens]}
asks 0 several fine token=t0ken-of-ours

# The tools ask with the same flags and variables.
begin() { # EXIT GUARD TEXT [VARIABLE=VALUE | FLAG]...
    rm -f "$work/begun.conf"
    expect_exit "$1" env "${@:4}" "$millrace" init --model tests/data/models/twofold.onnx \
        --topic orders --registry "${url[$2]}" "${flags[@]}" --output "$work/begun.conf"
    expect "$3" "$work/out"
    for setting in hush-hush t0ken opensesame; do expect_not "$setting" "$work/out"; done
}
flags=(--registry-ca-file "$work/ca.crt")
begin 1 passwords 'answers 401' MILLRACE_REGISTRY_PASSWORD=hush-hush
begin 0 tokens 'is written' MILLRACE_REGISTRY_TOKEN=t0ken-of-ours
flags+=(--registry-user shop)
begin 0 passwords 'is written' MILLRACE_REGISTRY_PASSWORD=hush-hush
flags=(--registry-ca-file "$work/ca.crt" --registry-certificate-file "$work/client.crt"
    --registry-key-file "$work/locked.key")
begin 0 certificates 'is written' MILLRACE_REGISTRY_KEY_PASSWORD=opensesame
