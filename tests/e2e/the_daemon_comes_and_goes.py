#!/usr/bin/env python3
"""vhived starts, says when it is ready, refuses what is taken, takes sockets over, and leaves nothing when it ends."""
import grp
import json
import os
import signal
import socket
import stat
import subprocess

from vhive_daemon import RUN, VHIVED, Daemon, http
from vhive_e2e import SCRATCH, check, need

need("root")


def it_is_ready_when_it_says_so():
    with Daemon() as d:
        check(d.get("/readyz")[0] == 200, "not ready though it said so")
        status, head, body = d.get("/metrics")
        check(status == 200 and "Content-Type: text/plain; version=0.0.4" in head, "/metrics: %s" % head)
        check("vhive_build_info" in body and "process_open_fds" in body, "/metrics: %s" % body)
        check(http(d.http, "/healthz", "HEAD")[::2] == (200, ""), "HEAD /healthz")
        check(d.get("/nothing")[0] == 404, "/nothing is something")
        check(http(d.http, "/metrics", "POST")[0] == 405, "POST was taken")
        d.process.send_signal(signal.SIGTERM)
        check(d.notify.wait("STOPPING=1", 10), "it does not tell that it stops: %s" % d.notify.told)
        d.process.wait(20)
    check(not os.path.exists(d.http) and not os.path.exists(d.control), "sockets stay: %s" % os.listdir(RUN))


def sockets_are_for_a_group():
    groups = sorted((g for g in grp.getgrall() if g.gr_gid), key=lambda g: g.gr_gid)
    group = groups[-1]
    with Daemon("--daemon-socket-group", group.gr_name) as d:
        for path in (d.http, d.control):
            st = os.stat(path)
            check((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid) == (0o660, 0, group.gr_gid),
                  "%s: %o %d:%d" % (path, st.st_mode, st.st_uid, st.st_gid))
    with Daemon("--daemon-socket-group", "no-such-group") as d:
        check(d.log().count("no group 'no-such-group'") == 1, "the group's absence is not told once: %s" % d.log())
        check(os.stat(d.control).st_gid == 0, "some group has the socket")


def a_second_one_is_refused():
    with Daemon() as d:
        code, text = Daemon("--run-dir", SCRATCH + "/run2").refused()
        check(code == 1 and "process %d" % d.process.pid in text, "same state directory: %d %s" % (code, text))
        code, text = Daemon("--state-dir", SCRATCH + "/state2").refused()
        check(code == 1 and "another process listens on " + RUN in text, "same sockets: %d %s" % (code, text))
        check(d.get("/readyz")[0] == 200, "the first one was disturbed")


def a_killed_one_is_no_obstacle():
    d = Daemon().wait_ready()
    d.end(signal.SIGKILL)
    check(os.path.exists(d.control), "nothing stale to replace")
    with Daemon() as d:
        check(d.get("/readyz")[0] == 200, "not ready after a kill")


def it_leaves_alone_what_another_put_in_its_place():
    with Daemon() as d, socket.socket(socket.AF_UNIX) as other:
        os.unlink(d.control)
        other.bind(d.control)
    check(os.path.exists(d.control), "it removed a socket that is another's")
    os.unlink(d.control)


def a_bad_setting_is_told_with_its_place():
    path = os.path.join(SCRATCH, "bad.yaml")
    for text, want in (("daemon:\n  htp: none\n", path + ":2:3: "), ("cri:\n  max_message: lots\n", path + ":2:16: ")):
        with open(path, "w") as f:
            f.write(text)
        code, said = Daemon("--config", path).refused()
        check(code == 2 and want in said, "%d %s" % (code, said))
    for args, want in ((("--sandbox", "firecracker"), "--sandbox firecracker: this version"),
                       (("--http", "0.0.0.0:80"), "daemon.http: address '0.0.0.0:80'"),
                       (("--control-sock", "none"), "nothing to serve"),
                       (("--control-sock", "vhived.sock"), "must be an absolute path"),
                       (("serve",), "unknown command 'serve'")):
        code, said = Daemon(*args).refused()
        check(code == 2 and want in said, "%s: %d %s" % (args, code, said))
        check(not os.path.exists(os.path.join(RUN, "vhived.http.sock")), "%s: a socket stays" % (args,))


def systemd_may_hold_the_sockets():
    listeners = [socket.socket(socket.AF_UNIX), socket.create_server(("127.0.0.1", 0))]
    listeners[0].bind(os.path.join(SCRATCH, "held.sock"))
    listeners[0].listen()
    early = socket.create_connection(listeners[1].getsockname())  # it waits until somebody serves
    early.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    fds = [s.fileno() for s in listeners]
    script = 'exec 3<&%d 4<&%d; LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES=control:http exec "$@"' % tuple(fds)
    with Daemon(wrapper=("sh", "-c", script, "sh"), pass_fds=fds) as d:
        check(b"200 OK" in early.recv(1024), "who came early is not served")
        check(http("127.0.0.1:%d" % listeners[1].getsockname()[1], "/readyz")[0] == 200, "not ready")
        check(not os.path.exists(d.http) and not os.path.exists(d.control), "sockets of its own: %s" % os.listdir(RUN))
    early.close()
    check(os.path.exists(os.path.join(SCRATCH, "held.sock")), "it removed a socket that is not its own")
    for names, want in (("control:htp", "'htp' is none of"), ("http:http", "two sockets"), ("", "'' is none of")):
        bad = script.replace("control:http", names)
        code, said = Daemon(wrapper=("sh", "-c", bad, "sh"), pass_fds=fds).refused()
        check(code == 2 and want in said, "%s: %d %s" % (names, code, said))
    for s in listeners:
        s.close()


def the_watchdog_is_fed():
    with Daemon(env={"WATCHDOG_USEC": "400000"}) as d:
        for _ in range(3):
            check(d.notify.wait("WATCHDOG=1", 0.4), "the watchdog starves: %s" % d.notify.told)
    with Daemon(env={"WATCHDOG_USEC": "400000", "WATCHDOG_PID": "1"}) as d:
        check(not d.notify.wait("WATCHDOG=1", 1), "the watchdog is not ours")


def a_hangup_reads_the_log_settings_anew():
    path = os.path.join(SCRATCH, "vhive.yaml")

    def write(text):
        with open(path, "w") as f:
            f.write(text)

    write("log:\n  level: info\n")
    with Daemon("--config", path) as d:
        write("log:\n  level: debug\n  format: json\nfunction:\n  memory: 512M\n")
        d.process.send_signal(signal.SIGHUP)
        check(d.notify.wait("READY=1", 10) and "RELOADING=1" in d.notify.told[-2], "told: %s" % d.notify.told)
        d.says("function.memory was changed to '512M': takes a restart")
        record = json.loads(d.log().strip().split("\n")[-1])
        check(record["module"] == "vhived" and record["level"] == "warn", "record: %s" % record)
        write("log:\n  levle: info\n")
        d.process.send_signal(signal.SIGHUP)
        d.says("the settings stay as they were: ")
        write("log:\n  level: error\n")
        d.process.send_signal(signal.SIGHUP)
        check(d.notify.wait("READY=1", 10), "a third time")
    check("ending" not in d.log(), "the level was not taken over")


def it_is_not_for_everybody():
    for uid, want in ((65534, "use sudo"),):
        mine = os.path.join(SCRATCH, "nobody")
        os.chmod(SCRATCH, 0o711)
        os.mkdir(mine, 0o777)
        os.chmod(mine, 0o777)
        done = subprocess.run([VHIVED, "--state-dir", mine + "/s", "--run-dir", mine + "/r", "--cri-sock", "none"],
                              user=uid, group=uid, extra_groups=[], capture_output=True, text=True, timeout=20)
        check(done.returncode == 126 and want in done.stderr, "%d %s" % (done.returncode, done.stderr))


it_is_ready_when_it_says_so()
sockets_are_for_a_group()
a_second_one_is_refused()
a_killed_one_is_no_obstacle()
it_leaves_alone_what_another_put_in_its_place()
a_bad_setting_is_told_with_its_place()
systemd_may_hold_the_sockets()
the_watchdog_is_fed()
a_hangup_reads_the_log_settings_anew()
it_is_not_for_everybody()
