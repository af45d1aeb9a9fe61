"""What the Python functions share: an HTTP/1.1 server on port $PORT (0: any), each request on a thread of its own.

    serve("name", 8080, {("GET", "/"): lambda query, body: b"Hello, world!\\n"})

A route gets the query as a dict and the body as bytes, and returns the answer's bytes. BadRequest tells the client what
was wrong with its request, FileNotFoundError becomes 404.
"""
import http.server
import os
import socketserver
import urllib.parse

BODY_MAX = 16 << 20


class BadRequest(Exception):
    pass


def number(query, name, default, most):
    """The number that the query has for |name|: 0 to |most|."""
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) <= most):
        raise BadRequest("%s= must be 0 to %d" % (name, most))
    return int(text)


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
            route = self.server.routes.get((self.command, url.path))
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


def serve(name, port, routes):
    """Serves |routes| until the process ends."""
    with Server(("", int(os.environ.get("PORT", port))), Handler) as server:
        server.routes = routes
        print(name + ": serving HTTP on port", server.server_address[1], flush=True)
        server.serve_forever()
