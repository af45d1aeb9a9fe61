"""AES-128 in counter mode (FIPS 197, NIST SP 800-38A) in plain Python. For load, not for secrets: its tables leak the
key to whoever can measure time."""


def times_two(x):
    return (x << 1) ^ (0x11B if x & 0x80 else 0)


def make_sbox():
    """p runs through all powers of 3 and q through their inverses, so each pair is x and 1/x."""
    sbox = [0x63] * 256
    p = q = 1
    while True:
        p ^= times_two(p)
        for shift in (1, 2, 4):
            q ^= q << shift
        q = (q & 0xFF) ^ (0x09 if q & 0x80 else 0)
        twice = q << 8 | q  # a byte beside itself turns by a shift
        sbox[p] = (q ^ twice >> 7 ^ twice >> 6 ^ twice >> 5 ^ twice >> 4) & 0xFF ^ 0x63
        if p == 1:
            return bytes(sbox)


SBOX = make_sbox()
DOUBLE = bytes(times_two(x) for x in range(256))
SHIFTED_ROWS = [(i + 4 * (i % 4)) % 16 for i in range(16)]  # the state is 4 columns of 4 bytes


def expand_key(key):
    """The 11 round keys of 16 bytes."""
    words = [key[i:i + 4] for i in range(0, 16, 4)]
    constant = 1
    while len(words) < 44:
        word = words[-1]
        if len(words) % 4 == 0:
            word = bytes([SBOX[word[1]] ^ constant, SBOX[word[2]], SBOX[word[3]], SBOX[word[0]]])
            constant = DOUBLE[constant]
        words.append(bytes(a ^ b for a, b in zip(words[-4], word)))
    return [b"".join(words[i:i + 4]) for i in range(0, 44, 4)]


def mix_columns(state):
    mixed = []
    for i in range(0, 16, 4):
        a, b, c, d = state[i:i + 4]
        every = a ^ b ^ c ^ d
        mixed += [a ^ every ^ DOUBLE[a ^ b], b ^ every ^ DOUBLE[b ^ c],
                  c ^ every ^ DOUBLE[c ^ d], d ^ every ^ DOUBLE[d ^ a]]
    return mixed


def encrypt_block(keys, block):
    state = [a ^ b for a, b in zip(block, keys[0])]
    for key in keys[1:-1]:
        state = mix_columns([SBOX[state[i]] for i in SHIFTED_ROWS])
        state = [a ^ b for a, b in zip(state, key)]
    return bytes(SBOX[state[i]] ^ k for i, k in zip(SHIFTED_ROWS, keys[-1]))


def encrypt(key, counter, text):
    """|text| in counter mode: |counter| is the first block, as a number."""
    keys = expand_key(key)
    out = bytearray()
    for at in range(0, len(text), 16):
        stream = encrypt_block(keys, ((counter + at // 16) % (1 << 128)).to_bytes(16, "big"))
        out += bytes(a ^ b for a, b in zip(text[at:at + 16], stream))
    return bytes(out)
