#!/usr/bin/env python3
# timeout: 300
"""vhive-bench: cold-start's document is as documented and adds up, an interrupted run keeps what it has, CSV and table
hold the same runs, clones all answer, every row of micro gives a value, and wrong options are told before a VM starts."""
import csv
import io
import json
import os
import signal
import subprocess
import time

from vhive_e2e import BUILD, SCRATCH, STATE, check, image, need

need("root", "qemu", "uffd")
BENCH = os.path.join(BUILD, "bin/vhive-bench")
HOST = {"cpu", "cores", "kernel", "vmm", "vmm_version", "accel", "memory_mib", "vcpus", "disk_sequential_mb_s",
        "disk_random_4k_mb_s", "drop", "libvhive", "date", "load"}
RUN = {"function", "engine", "iteration", "ok", "error", "total_us", "phases", "faults", "residual_faults", "ws_pages",
       "bytes_read", "vmm_pss_kib"}
PHASE = {"id", "start_us", "us", "critical"}
SUMMARY = {"function", "engine", "n", "p50_us", "p50_low_us", "p50_high_us", "p90_us", "p99_us", "mean_us",
           "ratio_to_file", "ratio_low", "ratio_high"}


def bench(*args):
    return subprocess.run([BENCH, *args], capture_output=True, text=True, timeout=200)


def bench_ok(*args):
    done = bench(*args)
    check(done.returncode == 0, "vhive-bench %s: exit code %d\n%s" % (" ".join(args), done.returncode, done.stderr))
    return done.stdout


def told(text, code, *args):
    """The command is refused, quickly."""
    begin = time.monotonic()
    done = bench("cold-start", *args)
    check(done.returncode == code, "%s: exit code %d\n%s" % (args, done.returncode, done.stderr))
    check(text in done.stderr, "%s: nothing of '%s' in: %s" % (args, text, done.stderr))
    check(time.monotonic() - begin < 5, "%s: told late" % (args,))


def check_run(run):
    check(set(run) == RUN, "members of a run: %s" % sorted(run))
    check(run["ok"] and run["error"] == "", "failed: %s" % run)
    check(all(set(p) == PHASE for p in run["phases"]), "members of a phase: %s" % run["phases"])
    critical = sum(p["us"] for p in run["phases"] if p["critical"])
    check(0.99 * run["total_us"] <= critical <= 1.01 * run["total_us"],
          "critical phases explain %d of %d us: %s" % (critical, run["total_us"], run))


hello = ("--image", image("hello"))
told("is not one of boot,file,uffd,reap", 2, *hello, "--engines", "file,quick")
told("not a number from 1", 2, *hello, "--iterations", "0")
told("no/such", 1, *hello, "--out", "/no/such/file")
told("/no/such/layout", 127, "--image", "oci:/no/such/layout")
told("--image REF is missing", 2)
told("no method", 2, *hello, "--invoke", "grpc:x")
check(not os.path.exists(os.path.join(STATE, "snapshots")) or os.listdir(os.path.join(STATE, "snapshots")) == ["labels"],
      "a refused command left a snapshot")

# the whole of a short comparison
out = os.path.join(SCRATCH, "result.json")
engines = ["file", "uffd", "reap", "reap-shell", "warm"]
bench_ok("cold-start", *hello, "--engines", ",".join(engines), "--iterations", "2", "--format", "json", "--out", out)
with open(out) as f:
    document = json.load(f)
check(set(document) == {"host", "runs", "summary"} and set(document["host"]) == HOST, "members: %s" % document["host"])
check(document["host"]["vmm"] == "qemu" and document["host"]["cores"] >= 1, "host: %s" % document["host"])
for run in document["runs"]:
    check_run(run)
check(sorted((r["engine"], r["iteration"]) for r in document["runs"]) ==
      sorted((e, i) for e in engines for i in (1, 2)), "runs: %s" % document["runs"])
for summary in document["summary"]:
    check(set(summary) == SUMMARY and summary["n"] == 2, "summary: %s" % summary)
    check(summary["p50_low_us"] <= summary["p50_us"] <= summary["p50_high_us"], "interval: %s" % summary)
by_engine = {e: [r for r in document["runs"] if r["engine"] == e] for e in engines}
for run in by_engine["file"] + by_engine["uffd"] + by_engine["reap"]:
    check(run["bytes_read"] > 1 << 20, "the snapshot's files were not cold: %s" % run)
for run in by_engine["reap"]:
    check(run["ws_pages"] > 0 and run["faults"] < run["ws_pages"], "reap did not replay: %s" % run)
for warm, cold in zip(by_engine["warm"], by_engine["reap"]):
    check(warm["total_us"] < cold["total_us"], "a running instance is no quicker: %s" % warm)
    check([p["id"] for p in warm["phases"]] == ["connect", "request"], "phases of warm: %s" % warm)

# interrupted: the document is whole, and holds what was measured
out = os.path.join(SCRATCH, "interrupted.csv")
process = subprocess.Popen([BENCH, "cold-start", *hello, "--engines", "file", "--iterations", "1000", "--format", "csv",
                            "--out", out], stderr=subprocess.PIPE, text=True)
for line in process.stderr:  # one of them tells of the first run
    if " of 1000: " in line:
        break
time.sleep(1.5)
process.send_signal(signal.SIGINT)
rest = process.stderr.read()
check(process.wait(20) == 130, "interrupted: exit code %s" % process.returncode)
check("interrupted after" in rest, "interrupted: %s" % rest)
with open(out, newline="") as f:
    rows = list(csv.DictReader(f))
check(1 <= len(rows) < 1000 and all(r["ok"] == "true" and int(r["total_us"]) > 0 for r in rows), "rows: %s" % rows)
check(sorted(os.listdir(SCRATCH)).count("interrupted.csv") == 1 and
      not [n for n in os.listdir(SCRATCH) if n.startswith("interrupted.csv.")], "left: %s" % os.listdir(SCRATCH))

# so it is when the snapshot cannot be made cold any more
stored = os.path.join(STATE, "snapshots", [n for n in os.listdir(os.path.join(STATE, "snapshots")) if len(n) == 20][0])
process = subprocess.Popen([BENCH, "cold-start", *hello, "--engines", "file", "--iterations", "1000", "--format", "csv",
                            "--out", out], stderr=subprocess.PIPE, text=True)
for line in process.stderr:
    if " of 1000: " in line:
        break
os.rename(stored, os.path.join(STATE, "aside"))
open(stored, "w").close()
rest = process.stderr.read()
check(process.wait(60) not in (0, 130) and "ended after" in rest and "error: " in rest, "no snapshot: %s" % rest)
with open(out, newline="") as f:
    rows = list(csv.DictReader(f))
check(rows and rows[0]["ok"] == "true" and len(rows) < 1000, "rows: %s" % rows)
os.unlink(stored)
os.rename(os.path.join(STATE, "aside"), stored)

# other forms, on standard output
rows = list(csv.DictReader(io.StringIO(bench_ok("cold-start", *hello, "--engines", "reap", "-n", "1", "--drop", "none",
                                                "--format", "csv"))))
check([r["engine"] for r in rows] == ["reap"], "rows: %s" % rows)
table = bench_ok("cold-start", *hello, "--engines", "boot", "--boot-iterations", "1").splitlines()
check(table[0].split()[:4] == ["FUNCTION", "ENGINE", "N", "P50"] and table[1].split()[:3] == ["hello", "boot", "1"],
      "table: %s" % table)

quiet = bench("cold-start", *hello, "--engines", "file", "-n", "1", "-q")
check(quiet.returncode == 0 and quiet.stderr == "", "-q: %s" % quiet.stderr)
late = bench("cold-start", *hello, "--engines", "file", "-n", "1", "--timeout-invoke", "1ms")
check(late.returncode == 1 and "before anything was measured" in late.stderr, "--timeout-invoke: %s" % late.stderr)

# many of one snapshot
clones = json.loads(bench_ok("clones", "--image", image("pyhello"), "--invoke", "http:/random", "--differ", "--count",
                             "4", "--format", "json"))
check(len(clones) == 4 and all(c["ok"] and c["vmm_pss_bytes"] > 1 << 20 for c in clones), "clones: %s" % clones)
check(len({c["answer"] for c in clones}) == 4, "answers: %s" % clones)
failing = bench("cold-start", "--image", image("pyhello"), "--invoke", "http:/nope", "--engines", "file", "-n", "1")
check(failing.returncode == 1 and "before anything was measured" in failing.stderr and "404" in failing.stderr,
      "a request that fails: %s" % failing.stderr)
twins = bench("clones", *hello, "--differ", "--count", "2", "--engine", "reap-shell")
check(twins.returncode == 1 and "the same answer" in twins.stderr, "twins pass for different: %s" % twins.stderr)

micro = json.loads(bench_ok("micro", "--iterations", "2", "--format", "json"))
check(len(micro) >= 13, "rows of micro: %s" % micro)
for row in micro:
    check(row["n"] == 2 and row["min"] > 0 and row["error"] == "", "micro: %s" % row)
check(bench("micro", "faul").returncode == 2, "micro measures what there is none of")
