"""imgrotate: a function on a large native library (Pillow). HTTP on port 8080 or $PORT (0: any).

GET /?angle=DEGREES   decodes a JPEG that was made at the start, turns it counter-clockwise, encodes it again. Answer:
                      {"width": W, "height": H, "bytes": length of the JPEG, "crc32": of its bytes, in hex}
"""
import io
import json
import sys
import zlib

from function_server import number, serve

sys.path.append("/usr/lib/python3/dist-packages")  # python runs with -S, which leaves this out
from PIL import Image  # noqa: E402

SIZE = 320, 240


def to_jpeg(image):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=85)
    return file.getvalue()


def make_photo():
    """A JPEG of colour gradients."""
    bands = [Image.linear_gradient("L"), Image.radial_gradient("L"), Image.linear_gradient("L").rotate(90)]
    return to_jpeg(Image.merge("RGB", bands).resize(SIZE))


def rotate(query, _body):
    angle = number(query, "angle", 30, 360)
    with Image.open(io.BytesIO(PHOTO), formats=["JPEG"]) as image:
        turned = image.rotate(angle, Image.Resampling.BILINEAR, expand=True)
    jpeg = to_jpeg(turned)
    answer = {"width": turned.width, "height": turned.height, "bytes": len(jpeg), "crc32": "%08x" % zlib.crc32(jpeg)}
    return json.dumps(answer).encode() + b"\n"


PHOTO = make_photo()

if __name__ == "__main__":
    serve("imgrotate", 8080, {("GET", "/"): rotate})
