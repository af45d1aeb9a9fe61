#!/usr/bin/env bash
# The images of the example functions: reproducible, readable by other tools, and whole: their servers run with nothing
# but what is in them, as the image's user.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need root
build=$e2e/../../examples/functions/build.sh
one=$VH_SCRATCH/one two=$VH_SCRATCH/two

python=(/usr/bin/python3.11 -E -s -S /app/server.py)

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
for name in hello pyhello pyaes jsonser imgrotate; do
    skopeo inspect --config "oci:$one/$name:latest" >"$VH_SCRATCH/config"
    says '"StopSignal": "SIGTERM"' "$VH_SCRATCH/config"
    says '"io.vhive.invoke": "' "$VH_SCRATCH/config"
    same 2 "$(skopeo inspect --format '{{len .Layers}}' "oci:$one/$name:latest")" "layers of $name"
done

serve hello /app/hello
same 'Hello, record_response!' "$(greet record)" 'answer to record'
same 'Hello, replay_response!' "$(greet replay)" 'answer to replay'
same 'Hello, you!' "$(greet you)" 'answer to you'
kill -TERM "$server"
wait "$server" || fail 'hello does not end with 0 on SIGTERM'

serve pyhello "${python[@]}"
greeting=$(get "http://127.0.0.1:$port/")
[[ $greeting =~ ^Hello,\ world!\ 0\.[0-9]{17}$ ]] || fail "greeting is '$greeting'"
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

serve pyaes "${python[@]}"
text='several blocks of text, and a part of one'
want=$(printf %s "$text" | openssl enc -aes-128-ctr -K 000102030405060708090a0b0c0d0e0f \
    -iv f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff | od -An -v -tx1 | tr -d ' \n')
same "$want" "$(get --data "$text" "http://127.0.0.1:$port/encrypt")" 'ciphertext'
kill "$server"

serve jsonser "${python[@]}"
get "http://127.0.0.1:$port/?depth=3&width=3" >"$VH_SCRATCH/tree"
says '{"nodes": 40, "sum": 780, "bytes": ' "$VH_SCRATCH/tree"
same 400 "$(get -o /dev/null -w '%{http_code}' "http://127.0.0.1:$port/?depth=9&width=9")" 'tree that is too large'
kill "$server"

serve imgrotate "${python[@]}"
get "http://127.0.0.1:$port/?angle=90" >"$VH_SCRATCH/right"
get "http://127.0.0.1:$port/?angle=30" >"$VH_SCRATCH/skew"
says '"width": 240, "height": 320,' "$VH_SCRATCH/right"
says '"width": 398, "height": 368,' "$VH_SCRATCH/skew"
same "$(cat "$VH_SCRATCH/skew")" "$(get "http://127.0.0.1:$port/?angle=30")" 'the same picture turned again'
kill "$server"

if "$build" --build "$VH_BUILD" --out "$two" nothing 2>"$VH_SCRATCH/error"; then fail 'built an unknown function'; fi
says "no function named 'nothing'" "$VH_SCRATCH/error"
if "$build" --build "$VH_SCRATCH" --out "$two" hello 2>"$VH_SCRATCH/error"; then fail 'built from nothing'; fi
says 'functions-bin/hello is missing' "$VH_SCRATCH/error"
same '' "$(find "$one" "$two" -maxdepth 1 -name '.hello.*' ! -name '*.stamp')" 'folders left over'
