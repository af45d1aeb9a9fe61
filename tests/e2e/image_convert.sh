#!/usr/bin/env bash
# Images convert fast, in little memory and to equal bytes: a large layout is made of this machine's own files and
# converted from plain, gzip and zstd layers. The bars are 60 MB of tar per second and core and 64 MiB of memory;
# equal layers must give one digest, twice, on two roots.
# timeout: 300
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
need root # unpacked files keep their owners

make_layouts() {
    python3 -B - "$VH_SCRATCH" <<'PYTHON'
import gzip, hashlib, io, json, os, subprocess, sys, tarfile

SCRATCH, LIMIT = sys.argv[1], 120_000_000
TREES = (("/usr/lib",), ("/usr/bin", "/usr/share"))


def tar_of(trees):
    """A tar of at most LIMIT bytes of the regular files, links and folders below the trees."""
    out, used = io.BytesIO(), 0
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for top in trees:
            for folder, folders, files in os.walk(top):
                folders.sort()
                for name in [folder] + [os.path.join(folder, f) for f in sorted(files)]:
                    try:
                        size = os.lstat(name).st_size
                        if used + size > LIMIT // len(trees) * (trees.index(top) + 1):
                            continue
                        tar.add(name, recursive=False)
                        used += size
                    except (OSError, ValueError):
                        continue
    return out.getvalue()


def blob(layout, data):
    digest = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{digest}", "wb") as file:
        file.write(data)
    return {"digest": "sha256:" + digest, "size": len(data)}


def write_layout(kind, tars, pack):
    layout = f"{SCRATCH}/{kind or 'plain'}"
    os.makedirs(layout + "/blobs/sha256")
    oci = "application/vnd.oci.image."
    layers = [{"mediaType": oci + "layer.v1.tar" + ("+" + kind if kind else ""), **blob(layout, pack(t))} for t in tars]
    ids = ["sha256:" + hashlib.sha256(t).hexdigest() for t in tars]
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": ids}}
    config = {"mediaType": oci + "config.v1+json", **blob(layout, json.dumps(config).encode())}
    manifest = {"schemaVersion": 2, "config": config, "layers": layers}
    manifest = {"mediaType": oci + "manifest.v1+json", **blob(layout, json.dumps(manifest).encode())}
    with open(layout + "/index.json", "w") as file:
        json.dump({"schemaVersion": 2, "manifests": [manifest]}, file)


tars = [tar_of(trees) for trees in TREES]
write_layout("", tars, lambda t: t)
write_layout("gzip", tars, lambda t: gzip.compress(t, 1, mtime=0))
write_layout("zstd", tars, lambda t: subprocess.run(["zstd", "-q", "-1"], input=t, stdout=-1, check=True).stdout)
PYTHON
}

# figure NAME LINE: the value of NAME in a line of image-micro.
figure() {
    sed -E "s/.*\b$1=([^ ]*).*/\1/" <<<"$2"
}

micro=$VH_BUILD/tests/tools/image-micro
[[ -x $micro ]] || fail "$micro is not built"
command -v zstd >/dev/null || lacks zstd "no zstd"
make_layouts
digest=
for kind in plain gzip zstd plain; do
    rm -rf "$VH_SCRATCH/state-$kind"
    line=$("$micro" "$VH_SCRATCH/state-$kind" "oci:$VH_SCRATCH/$kind")
    echo "$kind: $line"
    awk -v v="$(figure mb_per_s_core "$line")" 'BEGIN { exit !(v >= 60) }' || fail "$kind: under 60 MB/s per core"
    awk -v v="$(figure rss_mib "$line")" 'BEGIN { exit !(v <= 64) }' || fail "$kind: over 64 MiB of memory"
    same "${digest:=$(figure rootfs_digest "$line")}" "$(figure rootfs_digest "$line")" "$kind: digest of the squashfs"
done

# Another implementation reads it: what it says of names, modes and contents is what went in.
rootfs=$(echo "$VH_SCRATCH"/state-plain/images/*/rootfs.squashfs)
command -v unsquashfs >/dev/null || lacks squashfs-tools "no unsquashfs"
unsquashfs -no-progress -quiet -dest "$VH_SCRATCH/out" "$rootfs" usr/bin >/dev/null
compared=0
while IFS= read -r file; do
    cmp -s "$VH_SCRATCH/out/$file" "/$file" || fail "/$file came out different"
    same "$(stat -c %a%u%g "/$file")" "$(stat -c %a%u%g "$VH_SCRATCH/out/$file")" "/$file: mode and owner"
    compared=$((compared + 1))
done < <(cd "$VH_SCRATCH/out" && find usr/bin -type f | head -200)
((compared > 50)) || fail "only $compared files to compare"
echo "$compared files of /usr/bin came out the same"
