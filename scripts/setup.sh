#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'END'
usage: scripts/setup.sh [--no-install] [--for build|run|test]

Sees to it that this machine (Debian 12, amd64) has what vHive needs: packages are installed by apt-get, and the guest
kernel's package is downloaded, never installed, into ${VHIVE_CACHE:-/var/cache/vhive}, and so is promtool for the
tests. Where all is there it does nothing and needs neither network nor root.

  --for WHAT     build: compile everything; run: also run functions (default); test: also run the tests
  --no-install   touch nothing; name what is missing and exit with code 1

examples:
  sudo scripts/setup.sh
  scripts/setup.sh --no-install --for test
END
}

# The one list of packages. Each level holds those before it.
for_build=(gcc g++ libc6-dev binutils cmake ninja-build pkg-config python3 musl-tools linux-libc-dev
    libcjson-dev libyaml-dev libssl-dev libarchive-dev libsquashfs-dev libcurl4-openssl-dev libnl-3-dev
    libnl-route-3-dev libnftables-dev liburing-dev libxxhash-dev libuv1-dev libnghttp2-dev libprotobuf-c-dev
    protobuf-c-compiler libzstd-dev libcmocka-dev umoci python3-pil)
for_run=(qemu-system-x86)
for_test=(buildah busybox containerd containernetworking-plugins curl docker-registry fish git groff-base iproute2
    iptables nftables openssl procps python3-grpcio python3-yaml runc shellcheck skopeo squashfs-tools zsh zstd)
kernel=linux-image-cloud-amd64 # depends on the package of the current kernel
cache=${VHIVE_CACHE:-/var/cache/vhive}

die() {
    printf 'setup.sh: %s\n' "$*" >&2
    exit 1
}

# missing_packages NAME...: those that are not installed, one a line.
missing_packages() {
    local installed
    installed=$(dpkg-query -W -f='${Package} ${db:Status-Status}\n' "$@" 2>/dev/null |
        awk '$2 == "installed" { print $1 }') || true # it fails when one is unknown
    printf '%s\n' "$@" | grep -vxF -f <(printf '%s\n' "$installed") || true # all are there
}

have_kernel() {
    compgen -G "$cache/linux-image-*-cloud-amd64_*_amd64.deb" >/dev/null
}

have_promtool() {
    command -v promtool >/dev/null || [[ -x $cache/promtool ]]
}

# The program alone: the package would start a server.
download_promtool() {
    mkdir -p "$cache/partial"
    (cd "$cache/partial" && apt-get -o APT::Sandbox::User=root download prometheus)
    dpkg-deb --fsys-tarfile "$cache/partial"/prometheus_*.deb | tar -xO ./usr/bin/promtool >"$cache/partial/promtool"
    chmod 0755 "$cache/partial/promtool"
    mv "$cache/partial/promtool" "$cache/promtool"
    rm -r "$cache/partial"
}

download_kernel() {
    local package
    package=$(LC_ALL=C apt-cache depends "$kernel" | awk '/Depends: linux-image-[0-9]/ { print $2; exit }')
    [[ $package ]] || die "apt knows no package $kernel: add Debian's main archive to its sources"
    mkdir -p "$cache/partial"
    (cd "$cache/partial" && apt-get -o APT::Sandbox::User=root download "$package")
    mv "$cache/partial"/*.deb "$cache/"
    rmdir "$cache/partial"
}

install=1 level=run
while (($#)); do
    case $1 in
        --no-install) install=0 ;;
        --for)
            level=${2:-}
            shift $(($# > 1))
            ;;
        -h | --help) usage; exit 0 ;;
        *) usage >&2; exit 2 ;;
    esac
    shift
done
case $level in
    build) want=("${for_build[@]}") ;;
    run) want=("${for_build[@]}" "${for_run[@]}") ;;
    test) want=("${for_build[@]}" "${for_run[@]}" "${for_test[@]}") ;;
    *) usage >&2; exit 2 ;;
esac

if ! command -v dpkg-query >/dev/null || ! command -v apt-get >/dev/null; then
    die "not a Debian system: install by hand what Debian calls ${want[*]}, and build with cmake"
fi
[[ $(dpkg --print-architecture) == amd64 ]] || die "vHive runs on amd64 only"

mapfile -t missing < <(missing_packages "${want[@]}")
need_kernel=0
if [[ $level != build ]] && ! have_kernel; then
    need_kernel=1
fi
need_promtool=0
if [[ $level == test ]] && ! have_promtool; then
    need_promtool=1
fi
if ((${#missing[@]} == 0 && !need_kernel && !need_promtool)); then
    exit 0
fi

if ((!install)); then
    ((${#missing[@]} == 0)) || echo "missing packages: ${missing[*]}"
    ((!need_kernel)) || echo "missing: the package behind $kernel, as a file in $cache"
    ((!need_promtool)) || echo "missing: promtool, in PATH or in $cache"
    echo "sudo scripts/setup.sh --for $level gets them"
    exit 1
fi
((EUID == 0)) || die "not root: use sudo; missing: ${missing[*]:-the guest kernel or promtool}"

export DEBIAN_FRONTEND=noninteractive
apt-get update
((${#missing[@]} == 0)) || apt-get install -y --no-install-recommends "${missing[@]}"
((!need_kernel)) || download_kernel
((!need_promtool)) || download_promtool
