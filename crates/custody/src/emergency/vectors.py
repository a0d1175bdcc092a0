"""Another implementation of crates/crypto/src/emergency.rs, from its table and nothing else: prints the vector that
the tests of `caduceus-custody` and `caduceus-crypto` hold. Needs the `cryptography` package for AES-GCM.
"""
import hashlib
import hmac

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def add(a, b):
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P) % P
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P) % P
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def mul(k, point):
    total = None
    while k:
        if k & 1:
            total = add(total, point)
        point = add(point, point)
        k >>= 1
    return total


def enc(point):
    return bytes([2 + (point[1] & 1)]) + point[0].to_bytes(32, "big")


def frame(tag, fields):
    parts = [f"caduceus/{tag}/v1".encode(), *fields]
    return b"".join(len(part).to_bytes(8, "little") + part for part in parts)


def H(tag, *fields):
    return hashlib.sha3_256(frame(tag, fields)).digest()


def kdf32(tag, ikm, *fields):
    """RFC 5869 without salt, one block."""
    key = hmac.new(bytes(32), ikm, hashlib.sha3_256).digest()
    return hmac.new(key, frame(tag, fields) + b"\x01", hashlib.sha3_256).digest()


def second_generator():
    counter = 0
    while True:
        x = int.from_bytes(H("emergency-generator", counter.to_bytes(4, "little")), "big")
        square = (x**3 + 7) % P
        y = pow(square, (P + 1) // 4, P)
        if x < P and y * y % P == square:
            return x, y if y % 2 == 0 else P - y
        counter += 1


def dleq(tag, context, g, h, x, k):
    points = [g, mul(x, g), h, mul(x, h), mul(k, g), mul(k, h)]
    c = H(tag, *context, *map(enc, points))
    z = (k + int.from_bytes(c, "big") * x) % N
    return c + z.to_bytes(32, "big")


def scalar(text):
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % N


G2 = second_generator()
T, OFFICERS = 2, 3
f = [scalar(f"coefficient {k}") for k in range(T)]
shares = [sum(c * i**k for k, c in enumerate(f)) % N for i in range(1, OFFICERS + 1)]
staff = [mul(scalar(f"officer {i}"), G) for i in range(1, OFFICERS + 1)]

u32 = lambda n: n.to_bytes(4, "little")
key = u32(1) + u32(T) + b"".join(enc(mul(c, G)) for c in f)
key += u32(OFFICERS) + b"".join(map(enc, staff))
key_id = H("emergency-key", key)

header_hash = hashlib.sha256(b"header").digest()
data_key = hashlib.sha256(b"data key").digest()
r = scalar("wrap")
R = mul(r, G)
wrapping = kdf32("emergency-wrap", enc(mul(r, mul(f[0], G))), key_id, header_hash, enc(R))
wrapped = AESGCM(wrapping).encrypt(bytes(12), data_key, None)
proof = dleq("emergency-wrap-proof", [key_id, header_hash, wrapped], G, G2, r, scalar("wrap nonce"))
wrap = u32(1) + enc(R) + enc(mul(r, G2)) + wrapped + proof
wrap_id = H("emergency-wrap-id", key_id, header_hash, wrap)

partials = []
for i in (1, 3):
    s = shares[i - 1]
    proof = dleq("emergency-partial-proof", [wrap_id], G, R, s, scalar(f"partial nonce {i}"))
    partials.append(bytes([i]) + enc(mul(s, R)) + proof)

print("second generator", enc(G2).hex())
print("key", key.hex())
print("wrap", wrap.hex())
for partial in partials:
    print("partial", partial.hex())
