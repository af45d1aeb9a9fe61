"""pyaes: a function that computes in an interpreter. HTTP on port 8080 or $PORT (0: any).

POST /encrypt   the body in AES-128-CTR, as hex. Key and first counter block are fixed, so the answer can be checked:
                openssl enc -aes-128-ctr -K 000102030405060708090a0b0c0d0e0f -iv f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff
"""
import aes
from function_server import BadRequest, serve

KEY = bytes(range(16))
COUNTER = int.from_bytes(bytes(range(0xF0, 0x100)), "big")
TEXT_MAX = 64 << 10


def encrypt(_query, body):
    if len(body) > TEXT_MAX:
        raise BadRequest("the text may have %d bytes" % TEXT_MAX)
    return aes.encrypt(KEY, COUNTER, body).hex().encode() + b"\n"


if __name__ == "__main__":
    serve("pyaes", 8080, {("POST", "/encrypt"): encrypt})
