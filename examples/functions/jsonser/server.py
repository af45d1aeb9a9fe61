"""jsonser: a function that makes and reads nested JSON. HTTP on port 8080 or $PORT (0: any).

GET /?depth=D&width=W   builds a tree of D levels below its root with W children per node, serialises it, parses the
                        text and walks what came out. Nodes are numbered from 0, so the answer can be checked:
                        {"nodes": N, "sum": N * (N - 1) / 2, "bytes": length of the text}
"""
import json

from function_server import BadRequest, number, serve

DEPTH_MAX, WIDTH_MAX, NODES_MAX = 16, 64, 100000


def build(depth, width, count):
    node = {"id": next(count), "depth": depth, "name": "node at %d" % depth, "leaf": depth == 0, "weight": depth / 8}
    node["children"] = [build(depth - 1, width, count) for _ in range(width)] if depth else []
    return node


def walk(node):
    """Nodes and the sum of their ids."""
    nodes, total = 1, node["id"]
    for child in node["children"]:
        n, t = walk(child)
        nodes, total = nodes + n, total + t
    return nodes, total


def answer(query, _body):
    depth, width = number(query, "depth", 4, DEPTH_MAX), number(query, "width", 4, WIDTH_MAX)
    if sum(width ** level for level in range(depth + 1)) > NODES_MAX:
        raise BadRequest("depth= and width= make over %d nodes" % NODES_MAX)
    text = json.dumps(build(depth, width, iter(range(NODES_MAX))), indent=1)
    nodes, total = walk(json.loads(text))
    return json.dumps({"nodes": nodes, "sum": total, "bytes": len(text)}).encode() + b"\n"


if __name__ == "__main__":
    serve("jsonser", 8080, {("GET", "/"): answer})
