#!/usr/bin/env bash
# The images of the example functions: reproducible, readable by other tools, and whole: their servers run with nothing
# but what is in them, as the image's user.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need root
build=$e2e/../../examples/functions/build.sh
one=$VH_SCRATCH/one two=$VH_SCRATCH/two

# serve NAME COMMAND...: starts the unpacked function on any port; $port and $server name it.
serve() {
    local root=$VH_SCRATCH/$1 log=$VH_SCRATCH/$1.log
    umoci raw unpack --image "$one/$1" "$root" >/dev/null 2>&1
    shift
    : >"$log" # there before the background shell gets to it
    env -i PORT=0 /usr/sbin/chroot --userspec=65532:65532 "$root" "$@" >"$log" 2>&1 &
    server=$!
    for ((i = 0; i < 200; i++)); do
        port=$(sed -n 's/.*on port \([0-9]*\)$/\1/p' "$log")
        [[ -z $port ]] || return 0
        sleep 0.05
    done
    fail "no port from $*: $(cat "$log")"
}

get() {
    curl --silent --show-error --max-time 10 --noproxy '*' "$@"
}

# greet NAME: what the hello function answers, through the prefixes of gRPC and protobuf.
greet() {
    printf '\0\0\0\0%b\n%b%s' "\\x$(printf %02x $((${#1} + 2)))" "\\x$(printf %02x ${#1})" "$1" |
        get --http2-prior-knowledge --data-binary @- -H 'content-type: application/grpc' -H 'te: trailers' \
            "http://127.0.0.1:$port/helloworld.Greeter/SayHello" | tail -c +8
}

"$build" --build "$VH_BUILD" --out "$one" >"$VH_SCRATCH/first"
"$build" --build "$VH_BUILD" --out "$one" >"$VH_SCRATCH/again"
says 'hello: up to date' "$VH_SCRATCH/again"
"$build" --build "$VH_BUILD" --out "$two" >"$VH_SCRATCH/second"
diff -r "$one" "$two" || fail 'two builds differ'
for name in hello pyhello; do
    skopeo inspect --config "oci:$one/$name:latest" >"$VH_SCRATCH/config"
    says '"StopSignal": "SIGTERM"' "$VH_SCRATCH/config"
    same 2 "$(skopeo inspect --format '{{len .Layers}}' "oci:$one/$name:latest")" "layers of $name"
done

serve hello /app/hello
same 'Hello, record_response!' "$(greet record)" 'answer to record'
same 'Hello, replay_response!' "$(greet replay)" 'answer to replay'
same 'Hello, you!' "$(greet you)" 'answer to you'
kill -TERM "$server"
wait "$server" || fail 'hello does not end with 0 on SIGTERM'

serve pyhello /usr/bin/python3.11 -E -s -S /app/server.py
same 'Hello, world!' "$(get "http://127.0.0.1:$port/")" 'greeting'
get --data 'kept' "http://127.0.0.1:$port/file?name=note" >/dev/null
same kept "$(get "http://127.0.0.1:$port/file?name=note")" 'file'
same 400 "$(get -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/file?name=../note")" 'path that climbs'
[[ $(get "http://127.0.0.1:$port/uuid") != "$(get "http://127.0.0.1:$port/uuid")" ]] || fail 'two equal UUIDs'
clock=$(get "http://127.0.0.1:$port/clock")
((${clock%.*} - $(date +%s) <= 2 && $(date +%s) - ${clock%.*} <= 2)) || fail "clock says $clock"
get "http://127.0.0.1:$port/exit?code=7" >"$VH_SCRATCH/exit" 2>&1 || true # it hangs up
code=0
wait "$server" || code=$?
same 7 "$code" 'exit code'

if "$build" --build "$VH_BUILD" --out "$two" nothing 2>"$VH_SCRATCH/error"; then fail 'built an unknown function'; fi
says "no function named 'nothing'" "$VH_SCRATCH/error"
if "$build" --build "$VH_SCRATCH" --out "$two" hello 2>"$VH_SCRATCH/error"; then fail 'built from nothing'; fi
says 'functions-bin/hello is missing' "$VH_SCRATCH/error"
same '' "$(find "$one" "$two" -maxdepth 1 -name '.hello.*' ! -name '*.stamp')" 'folders left over'
