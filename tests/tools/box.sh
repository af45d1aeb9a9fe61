#!/usr/bin/env bash
set -euo pipefail

usage() {
    cat <<'END'
usage: tests/tools/box.sh COMMAND [ARGUMENT]...

Runs COMMAND, as root, with processes, mounts, network, System V objects and control groups of its own, and with folders
/run, /var/lib and /var/log that forget what is written to them. When COMMAND ends, or this script is ended, the kernel
ends all that was started in there and takes down its mounts, links, namespaces and rules; the control groups are removed
here. So a test can start a whole container runtime and still leave nothing. VHIVE_BOX names a scratch folder, which goes
last.

The network has nothing but a loopback interface. Files elsewhere are those of the machine.

example:
  sudo tests/tools/box.sh bash
END
}

# hierarchies: mount point, type and options of each cgroup hierarchy, one a line.
hierarchies() {
    sed -n 's/^\S* \S* \S* \S* \(\S*\) .* - \(cgroup2\?\) \S* \(\S*\)$/\1 \2 \3/p' /proc/self/mountinfo
}

# enter_cgroups NAME: puts this process into a new group in each hierarchy.
enter_cgroups() {
    local mount type
    while read -r mount type _; do
        mkdir "$mount/$1"
        if [[ -e $mount/$1/cpuset.cpus && $type == cgroup ]]; then # of a new group they are empty
            cat "$mount/cpuset.cpus" >"$mount/$1/cpuset.cpus"
            cat "$mount/cpuset.mems" >"$mount/$1/cpuset.mems"
        fi
        echo "$BASHPID" >"$mount/$1/cgroup.procs"
    done < <(hierarchies)
}

# remove_cgroups NAME: as soon as the last process in them has gone, which may take the kernel a moment.
remove_cgroups() {
    local mount i
    for ((i = 0; i < 100; i++)); do
        while read -r mount _; do
            [[ ! -d $mount/$1 ]] || find "$mount/$1" -depth -type d -exec rmdir {} + 2>/dev/null || true # busy
        done < <(hierarchies)
        compgen -G "/sys/fs/cgroup/*/$1" >/dev/null || compgen -G "/sys/fs/cgroup/$1" >/dev/null || return 0
        sleep 0.1
    done
    echo "box.sh: processes remain in control group $1" >&2
    return 1
}

# Shows in each hierarchy's place only what is below the group entered, as its root.
mount_cgroups() {
    local mount type options
    while read -r mount type options; do
        umount "$mount"
        options=$(tr , '\n' <<<"$options" | grep -vxE 'r[wo]|nsdelegate|memory_recursiveprot' | paste -sd,) || true # none
        mount -t "$type" ${options:+-o "$options"} "$type" "$mount"
        if [[ $type == cgroup2 && -e $mount/cgroup.subtree_control ]]; then # a group with processes cannot have
            mkdir "$mount/box"                                            # limited groups below it
            xargs -n 1 sh -c "echo \$0 >$mount/box/cgroup.procs || true" <"$mount/cgroup.procs"
        fi
    done < <(hierarchies | tac) # those mounted last first
}

# Runs as the first process inside.
inside() {
    mount_cgroups
    mount -t tmpfs -o mode=755 box /mnt
    mkdir /mnt/upper /mnt/work
    mount -t overlay -o lowerdir=/var/lib,upperdir=/mnt/upper,workdir=/mnt/work box /var/lib
    umount -l /mnt
    mount -t tmpfs -o mode=755 box /run
    mount -t tmpfs -o mode=755 box /var/log
    mount --make-rshared / # containers may ask for mounts that spread
    ip link set lo up
    "$@" & # not exec: the first process has orphans to wait for
    wait $!
}

child=
name=vhive-box-$$
cleanup() {
    [[ -z $child ]] || kill -KILL "$child" 2>/dev/null || true # it has ended
    remove_cgroups "$name" # when they are gone, so are the processes, and with them the mounts
    rm -rf --one-file-system "$VHIVE_BOX"
}

case ${1:-} in
    -h | --help) usage; exit 0 ;;
    '') usage >&2; exit 2 ;;
    --inside)
        shift
        inside "$@"
        exit
        ;;
esac
((EUID == 0)) || { echo "box.sh: not root: use sudo" >&2; exit 1; }

VHIVE_BOX=$(mktemp -d /tmp/vhive-box.XXXXXX) # holds sockets, whose paths must be short
export VHIVE_BOX
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
(
    trap - EXIT INT TERM
    enter_cgroups "$name"
    exec unshare --mount --net --ipc --cgroup --pid --fork --kill-child --mount-proc "$0" --inside "$@"
) <&0 &
child=$!
wait "$child"
