#!/usr/bin/python3
# timeout: 900
"""Twenty functions on a machine with room for four or five instances: 200 requests in random order, eight at a time, at
the functions' addresses and by the control API. Each gets the answer of the function it asked; an instance is started
when none is there, and only then; memory and instances stay within their budgets; nothing is left. VH_SEED, which it
prints, repeats the order.

Each function has an environment of its own, hence a snapshot, and tells it in its answers together with the generation,
which differs from clone to clone: so the answers tell how many instances there were."""
import collections
import concurrent.futures
import json
import os
import random
import threading
import time

from vhive_daemon import RUN, Control, Daemon, http
from vhive_e2e import check, children, command_of, ctl_ok, guest_function, need

need("root", "qemu", "uffd")
SEED = os.environ.get("VH_SEED", str(time.time_ns()))
FUNCTIONS, REQUESTS, CLIENTS = 20, 200, 8
PATIENCE = 600  # seconds; on a quiet machine a request takes one or two, but it waits for its function's turn
MEMORY_MIB, INSTANCES = 900, 5
NAMES = ["f%02d" % i for i in range(FUNCTIONS)]
# five small ones are as many as may be, three large and a small one fill the memory
SIZES = {name: (128, 256)[i % 2] for i, name in enumerate(NAMES)}


def deploy(control, image, i):
    """Every other pair of functions has one instance with one request at a time. Of the others nothing but single
    flight keeps them from having more. Every fifth listens on a Unix socket."""
    name = NAMES[i]
    some = {"max": 1, "concurrency": 1} if i % 4 < 2 else {"max": 3, "concurrency": 100}
    address = "unix:%s/%s.sock" % (RUN, name) if i % 5 == 0 else ""
    found = control.deploy(name, image, port=8080, env=["WHO=" + name], memory_mib=SIZES[name], address=address,
                           keep_alive_ms=600000, **some)
    return found.address.split(":", 1)[1]


def ask(control, addresses, number, name):
    """One request: the generation of the instance that answered."""
    path = "/%s-%d" % (name, number)
    if number % 4:
        status, _, body = http(addresses[name], path, timeout=PATIENCE)
    else:
        reply = control.Invoke(function=name, spec="http:" + path, timeout=PATIENCE)
        status, body = reply.status, reply.body.decode()
    said = body.split("\n", 2)
    check(status == 200 and len(said) == 3, "%s: %d %r" % (path, status, body))
    check(said[0] == "GET %s HTTP/1.1" % path, "%s got another request's answer: %r" % (path, body))
    check("WHO=" + name in said[2].split("\0"), "%s was answered by another function: %r" % (path, body))
    return said[1]


class Watch:
    """Looks at the budgets until it is told to stop: what the daemon says there is, and what runs."""

    def __init__(self, daemon, control):
        self.daemon, self.control = daemon, control
        self.over = threading.Event()
        self.looks = self.processes = self.instances = self.memory = 0

    def run(self):
        while not self.over.wait(0.02):
            self.look()
            if self.looks % 8 == 0:
                self.look_at_the_machine()
            self.looks += 1

    def look(self):
        found = self.control.ListInstances().instances
        self.instances = max(self.instances, len(found))
        self.memory = max(self.memory, sum(i.memory_mib for i in found))
        check(self.instances <= INSTANCES and self.memory <= MEMORY_MIB, "over the budget: %s" % found)
        live = collections.Counter(i.function for i in found if i.state in ("starting", "ready"))
        check(not live or max(live.values()) == 1, "two instances of a function that needs one: %s" % live)

    def look_at_the_machine(self):
        running = [p for p in children(self.daemon.process.pid) if command_of(p).startswith("qemu-system")]
        self.processes = max(self.processes, len(running))
        check(len(running) <= INSTANCES, "%d VMs run" % len(running))
        told = sum(figures(self.daemon, "vhive_instances", "state").values())
        check(told <= INSTANCES, "/metrics tells of %d instances" % told)


def figures(daemon, name, label):
    """{value of the label: value} of a metric."""
    lines = [line.split() for line in daemon.get("/metrics")[2].splitlines() if line.startswith(name + "{")]
    return {key[len(name + label) + 3:-2]: int(value) for key, value in lines}


def answers(daemon, control, addresses):
    """All requests, watched: {function: generations that answered}."""
    order = [NAMES[i % FUNCTIONS] for i in range(REQUESTS)]
    random.Random(SEED).shuffle(order)
    watch = Watch(daemon, control)
    began = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(CLIENTS) as clients, concurrent.futures.ThreadPoolExecutor(1) as other:
        watching = other.submit(watch.run)
        try:
            found = list(clients.map(lambda n: ask(control, addresses, *n), enumerate(order)))
        finally:
            watch.over.set()
        watching.result()
    print("%d requests in %.1f s; at most %d instances, %d VMs, %d MiB in %d looks"
          % (REQUESTS, time.monotonic() - began, watch.instances, watch.processes, watch.memory, watch.looks))
    check(watch.looks > 10, "it was not watched")
    generations = collections.defaultdict(set)
    for name, generation in zip(order, found):
        generations[name].add(generation)
    return generations


class Replay:
    """What the events tell from the first to the last, none left out: starts, and what there was at any time."""

    def __init__(self, events):
        self.starting, self.started, self.served = set(), collections.Counter(), collections.Counter()
        self.engines = collections.defaultdict(list)
        self.memory = self.instances = self.most_memory = self.most_instances = 0
        for number, event in enumerate(events, events[0]["sequence"]):
            check(event["sequence"] == number and event["type"] != "events.lost", "events are missing: %s" % event)
            self.take(event["type"], event["function"], event["message"])

    def take(self, kind, name, message):
        check(not kind.endswith(".failed") and kind != "instance.died", "%s of %s: %s" % (kind, name, message))
        if kind == "instance.starting":
            check(name not in self.starting, "%s is started while it is being started" % name)
            self.starting.add(name)
            self.started[name] += 1
            self.count(SIZES[name], 1)
        elif kind == "instance.ready":
            self.starting.remove(name)
            self.engines[name].append(message.split()[3].rstrip(","))
        elif kind == "instance.ended":
            served = int(message.split()[0])
            check(served > 0, "an instance of %s was started for nobody" % name)
            self.served[name] += served
            self.count(-SIZES[name], -1)

    def count(self, memory, instances):
        self.memory += memory
        self.instances += instances
        self.most_memory = max(self.most_memory, self.memory)
        self.most_instances = max(self.most_instances, self.instances)
        check(self.memory <= MEMORY_MIB and self.instances <= INSTANCES, "over the budget by the events: %d MiB, %d"
              % (self.memory, self.instances))


def check_starts(generations, counted):
    """Each start had its round of answers, and the budgets were what ended instances."""
    replay = Replay([json.loads(line) for line in ctl_ok("events", "-o", "json").splitlines()])
    for name in NAMES:
        check(replay.started[name] == len(generations[name]) == counted[name], "%s: %d starts, %d counted, %d answered"
              % (name, replay.started[name], counted[name], len(generations[name])))
        check(replay.engines[name] == ["boot"] + ["reap"] * (replay.started[name] - 1),
              "%s: %s" % (name, replay.engines[name]))
        check(replay.served[name] == REQUESTS // FUNCTIONS, "%s served %d" % (name, replay.served[name]))
    check(replay.instances == replay.memory == 0 and not replay.starting, "some did not end")
    check(replay.most_instances == INSTANCES and replay.most_memory > MEMORY_MIB - min(SIZES.values()),
          "the budgets were not used up: %d instances, %d MiB" % (replay.most_instances, replay.most_memory))
    starts = sum(replay.started.values())
    check(starts > 3 * FUNCTIONS, "%d starts: hardly an instance was ended for another" % starts)
    print("%d starts, %d of them boots" % (starts, FUNCTIONS))


def descriptors(daemon):
    return len(os.listdir("/proc/%d/fd" % daemon.process.pid))


def left(daemon, at_first):
    """What there is more than before the first function, but for pipes that the relay keeps, one for each client."""
    more = max(0, descriptors(daemon) - at_first - 2 * CLIENTS)
    return (children(daemon.process.pid), os.listdir(os.path.join(RUN, "vms")), more)


def check_nothing_is_left(daemon, at_first):
    end = time.monotonic() + 120
    while left(daemon, at_first) != ([], [], 0):
        check(time.monotonic() < end, "processes, VM folders, descriptors are left: %s" % (left(daemon, at_first),))
        time.sleep(0.05)


def main():
    print("VH_SEED=%s" % SEED, flush=True)
    image = guest_function("who", {})
    patient = {"VHIVE_TIMEOUT_" + what: "%ds" % PATIENCE for what in ("HELLO", "READY", "BOOT", "RESTORE", "INVOKE")}
    with Daemon("--budget-memory", "%dM" % MEMORY_MIB, "--budget-instances", str(INSTANCES), env=patient) as daemon:
        control = Control(daemon.control)
        control.Version()
        at_first = descriptors(daemon)
        addresses = {name: deploy(control, image, i) for i, name in enumerate(NAMES)}
        generations = answers(daemon, control, addresses)
        counted = figures(daemon, "vhive_function_started_total", "function")
        for name in NAMES:
            control.Remove(name=name)
        check_nothing_is_left(daemon, at_first)
        check_starts(generations, counted)


main()
