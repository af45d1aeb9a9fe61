#!/usr/bin/env bash
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
    cat <<'END'
usage: scripts/build.sh [--no-install] [--for build|run|test]

Sets the machine up (scripts/setup.sh) and builds everything into build/: commands in build/bin, the example functions'
images in build/functions, and the guest kernel's package in build/guest, which VHIVE_GUEST_DIR points to.

  --no-install, --for   as for scripts/setup.sh

example:
  sudo scripts/build.sh && ls build/bin
END
}

for argument; do
    case $argument in
        -h | --help) usage; exit 0 ;;
    esac
done
scripts/setup.sh "$@"

[[ -f build/build.ninja ]] || cmake -S . -B build -G Ninja >/dev/null
ninja -C build --quiet
examples/functions/build.sh

# A package in the guest folder is used before any download.
mkdir -p build/guest
for deb in "${VHIVE_CACHE:-/var/cache/vhive}"/linux-image-*.deb; do
    if [[ -f $deb && ! -e build/guest/${deb##*/} ]]; then
        cp "$deb" build/guest/
    fi
done
