#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/../.."

usage() {
    cat <<'END'
usage: tests/tools/activate_http.sh [URL [H2_URL]]

Measures what activation adds to an HTTP server, straight and relayed in turns: wrk over HTTP/1.1 and h2load over h2c.
Without URL it starts nginx with one worker; with one, http://HOST:PORT/PATH is measured, over h2c only where H2_URL
says so. Needs wrk, h2load (nghttp2-client), perhaps nginx, and build/tests/tools/activate-micro.

  SECONDS_EACH   length of one run (4)
  ROUNDS         runs of each, of which the median is told (3)

examples:
  tests/tools/activate_http.sh
  tests/tools/activate_http.sh http://172.16.0.2:8080/
END
}

case ${1:-} in -h | --help) usage; exit 0 ;; esac
seconds=${SECONDS_EACH:-4} rounds=${ROUNDS:-3}
micro=build/tests/tools/activate-micro
dir=$(mktemp -d)
pids=()

finish() {
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait
    rm -rf "$dir"
}
trap finish EXIT

start_nginx() {
    head -c 1048576 /dev/zero >"$dir/large"
    head -c 1024 /dev/zero >"$dir/small"
    chmod 755 "$dir"
    cat >"$dir/nginx.conf" <<END
worker_processes 1;
daemon off;
pid $dir/nginx.pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
    access_log off;
    keepalive_requests 100000000;
    server { listen 127.0.0.1:18080; root $dir; }
    server { listen 127.0.0.1:18081 http2; root $dir; http2_max_concurrent_streams 1000; }
}
END
    nginx -c "$dir/nginx.conf" -p "$dir" &
    pids+=($!)
    url=http://127.0.0.1:18080/small large=http://127.0.0.1:18080/large h2=http://127.0.0.1:18081/small
}

# relay_of URL: the same URL through a relay of its own.
relay_of() {
    local rest=${1#http://} out
    out=$dir/relay.$RANDOM
    "$micro" relay tcp:127.0.0.1 "${rest%%/*}" >"$out" &
    pids+=($!)
    until [[ -s $out ]]; do sleep 0.05; done
    relayed=http://$(sed 's/^tcp://' "$out")/${rest#*/}
}

# Both print "P50_MICROSECONDS REQUESTS_PER_SECOND".
run_wrk() {
    wrk -t1 -c"$2" -d"${seconds}s" --latency "$1" | awk '
        function us(t) { return t ~ /us$/ ? t + 0 : t ~ /ms$/ ? t * 1000 : t * 1000000 }
        $1 == "50%" { p = us($2) } $1 == "Requests/sec:" { r = $2 } END { printf "%.0f %.0f\n", p, r }'
}

run_h2load() {
    h2load -t1 -c"$2" -m"$3" -D"$seconds" "$1" 2>/dev/null | awk '
        function us(t) { return t ~ /us$/ ? t + 0 : t ~ /ms$/ ? t * 1000 : t * 1000000 }
        /^time for request:/ { p = us($6) } /^finished in/ { r = $4 } END { printf "%.0f %.0f\n", p, r }'
}

median() {
    sort -n | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)] }'
}

# compare NAME URL RUN ARGS...: straight and relayed in turns.
compare() {
    local name=$1 straight=$2 run=$3 sp sr rp rr
    shift 3
    relay_of "$straight"
    : >"$dir/s" && : >"$dir/r"
    for ((i = 0; i < rounds; i++)); do
        "$run" "$straight" "$@" >>"$dir/s"
        "$run" "$relayed" "$@" >>"$dir/r"
    done
    sp=$(cut -d' ' -f1 "$dir/s" | median) sr=$(cut -d' ' -f2 "$dir/s" | median)
    rp=$(cut -d' ' -f1 "$dir/r" | median) rr=$(cut -d' ' -f2 "$dir/r" | median)
    printf '%-34s straight %7d us %8d/s   relayed %7d us %8d/s   %+d us, %d %%\n' "$name" \
        "$sp" "$sr" "$rp" "$rr" $((rp - sp)) $((100 * rr / sr))
}

large='' h2=${2:-}
if (($#)); then url=$1; else start_nginx; fi
sleep 0.3
compare 'HTTP/1.1, 1 connection' "$url" run_wrk 1
compare 'HTTP/1.1, 64 connections' "$url" run_wrk 64
[[ -z $large ]] || compare 'HTTP/1.1, 1 MiB, 4 connections' "$large" run_wrk 4
[[ -z $h2 ]] || compare 'h2c, 1 connection, mean' "$h2" run_h2load 1 1
[[ -z $h2 ]] || compare 'h2c, 8 connections of 16 streams' "$h2" run_h2load 8 16
