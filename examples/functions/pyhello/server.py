"""pyhello: a function in Python that shows what of a process survives a snapshot. HTTP on port 8080 or $PORT (0: any).

GET  /              a greeting with random.random(), whose state is the process's own: reseeded after each restore, by
                    SIGUSR1 of the image's hook /etc/vhive/hooks/post-restore, which waits until that is done
GET  /clock         time.time(): right again soon after a restore
GET  /random        16 bytes of os.urandom in hex, GET /uuid a UUID: clones must differ
POST /file?name=X   keeps the body in /var/lib/app/X, GET /file?name=X returns it: disk state. File "started" is
                    written once, when the process starts, so all clones of a snapshot have the same one
POST /echo          returns the body
GET  /exit?code=N   ends the process
"""
import os
import random
import signal
import sys
import time
import uuid

from function_server import BadRequest, number, serve

RESEEDED = "/run/vhive/reseeded"
DIRECTORY = os.environ.get("APP_DIR", "/var/lib/app")


def file_path(query):
    name = query.get("name", "")
    if not name or "/" in name or "\0" in name or name.startswith("."):
        raise BadRequest("name= must be the plain name of a file")
    return os.path.join(DIRECTORY, name)


def write_file(query, body):
    with open(file_path(query), "wb") as file:
        file.write(body)
    return b"%d bytes\n" % len(body)


def read_file(query, _body):
    with open(file_path(query), "rb") as file:
        return file.read()


def end_process(query, _body):
    code = number(query, "code", 0, 255)
    sys.stdout.flush()
    os._exit(code)


ROUTES = {
    ("GET", "/"): lambda query, body: b"Hello, world! %.17f\n" % random.random(),
    ("GET", "/clock"): lambda query, body: b"%.6f\n" % time.time(),
    ("GET", "/random"): lambda query, body: os.urandom(16).hex().encode() + b"\n",
    ("GET", "/uuid"): lambda query, body: str(uuid.uuid4()).encode() + b"\n",
    ("GET", "/file"): read_file,
    ("POST", "/file"): write_file,
    ("POST", "/echo"): lambda query, body: body,
    ("GET", "/exit"): end_process,
}


def reseed(_signal, _frame):
    random.seed()
    try:
        hook = os.open(RESEEDED, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return  # nobody waits for it
    os.write(hook, b"1")
    os.close(hook)


if __name__ == "__main__":
    signal.signal(signal.SIGUSR1, reseed)
    write_file({"name": "started"}, str(uuid.uuid4()).encode() + b"\n")
    serve("pyhello", 8080, ROUTES)
