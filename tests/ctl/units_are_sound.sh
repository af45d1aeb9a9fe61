#!/usr/bin/env bash
# units_are_sound.sh SERVICE PROGRAM UNITS: systemd has nothing to say against the service, which is to start PROGRAM,
# and the sockets and files beside it in the folder UNITS.
set -euo pipefail
service=$1 program=$2 units=$3

command -v systemd-analyze >/dev/null || { echo "skip: systemd: no systemd-analyze"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
sed "s|^ExecStart=.*/vhived|ExecStart=$program|" "$service" >"$scratch/vhived.service"
cp "$units"/*.socket "$scratch"
grep -q "^ExecStart=$program$" "$scratch/vhived.service" || { echo "FAILED: what does $service start?"; exit 1; }

said=$(SYSTEMD_UNIT_PATH=$scratch: systemd-analyze verify --man=no --recursive-errors=no \
    "$scratch"/*.service "$scratch"/*.socket 2>&1) || true
if [[ $said ]]; then
    printf 'FAILED: %s\n' "$said"
    exit 1
fi
mkdir -p "$scratch/root/etc"
systemd-sysusers --root="$scratch/root" - <"$units/vhive.sysusers" >/dev/null
grep -q '^vhive:' "$scratch/root/etc/group" || { echo "FAILED: no group vhive"; exit 1; }
