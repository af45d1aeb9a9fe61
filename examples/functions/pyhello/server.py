"""pyhello: a function in Python that shows what of a process survives a snapshot. HTTP on port 8080 or $PORT (0: any).

GET  /              a greeting
GET  /clock         time.time(): right again soon after a restore
GET  /random        16 bytes of os.urandom in hex, GET /uuid a UUID: clones must differ
POST /file?name=X   keeps the body in /var/lib/app/X, GET /file?name=X returns it: disk state. File "started" is
                    written once, when the process starts, so all clones of a snapshot have the same one
POST /echo          returns the body
GET  /exit?code=N   ends the process
"""
import http.server
import os
import socketserver
import sys
import time
import urllib.parse
import uuid

DIRECTORY = os.environ.get("APP_DIR", "/var/lib/app")
BODY_MAX = 16 << 20


class BadRequest(Exception):
    pass


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
    code = query.get("code", "0")
    if not code.isdecimal() or int(code) > 255:
        raise BadRequest("code= must be 0 to 255")
    sys.stdout.flush()
    os._exit(int(code))


ROUTES = {
    ("GET", "/"): lambda query, body: b"Hello, world!\n",
    ("GET", "/clock"): lambda query, body: b"%.6f\n" % time.time(),
    ("GET", "/random"): lambda query, body: os.urandom(16).hex().encode() + b"\n",
    ("GET", "/uuid"): lambda query, body: str(uuid.uuid4()).encode() + b"\n",
    ("GET", "/file"): read_file,
    ("POST", "/file"): write_file,
    ("POST", "/echo"): lambda query, body: body,
    ("GET", "/exit"): end_process,
}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def read_body(self):
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or int(length) > BODY_MAX:
            self.close_connection = True  # what follows on it cannot be told from a request
            raise BadRequest("the body needs a Content-Length of at most %d" % BODY_MAX)
        return self.rfile.read(int(length))

    def handle_request(self):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        try:
            body = self.read_body()
            route = ROUTES.get((self.command, url.path))
            if route:
                self.reply(200, route(query, body))
            else:
                self.reply(404, b"no such path: see server.py\n")
        except BadRequest as error:
            self.reply(400, str(error).encode() + b"\n")
        except FileNotFoundError:
            self.reply(404, b"no such file\n")

    do_GET = do_POST = handle_request

    def reply(self, status, body):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass  # a line for each request would drown what the function has to say


class Server(socketserver.ThreadingTCPServer):  # http.server's own looks its host name up, which may take long
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    write_file({"name": "started"}, str(uuid.uuid4()).encode() + b"\n")
    port = int(os.environ.get("PORT", "8080"))
    with Server(("", port), Handler) as server:
        print("pyhello: serving HTTP on port", server.server_address[1], flush=True)
        server.serve_forever()
