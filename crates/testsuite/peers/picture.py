"""Says what an animated SVG shows: `frames FILE` its screens as text with their seconds, `pixels PNG X,Y ...` colours."""
import json
import struct
import sys
import xml.etree.ElementTree
import zlib

SVG = "{http://www.w3.org/2000/svg}"
CELL, HEIGHT = 9, 18


def cells(image):
    """What a row shows, by column."""
    found = {}
    for text in image.iter(SVG + "text"):
        x, length = int(text.get("x")), int(text.get("textLength"))
        wide = length // CELL // len(text.text)
        assert wide in (1, 2) and wide * CELL * len(text.text) == length, text.text
        for n, character in enumerate(text.text):
            assert found.setdefault(x // CELL + n * wide, character) == character
    return found


def row(found):
    return "".join(found.get(n, " ") if n - 1 not in found or not wide(found[n - 1]) else ""
                   for n in range(max(found, default=-1) + 1)).rstrip()


def wide(character):
    return ord(character) >= 0x1100 and character not in "\ufffd" and not 0x2000 <= ord(character) < 0x2e80


def changes(element, attribute):
    """The values of an attribute, each with its place between 0 and 1."""
    animations = [one for one in element if one.get("attributeName") == attribute]
    if not animations:
        return [(0, element.get(attribute))]
    [animation] = animations
    times = [float(time) for time in animation.get("keyTimes").split(";")]
    values = animation.get("values").split(";")
    assert len(times) == len(values) and times == sorted(times) and times[0] == 0
    assert values[-1] == element.get(attribute)
    return list(zip(times, values))


def frames(file):
    root = xml.etree.ElementTree.parse(file).getroot()
    assert not [element.tag for element in root.iter() if "script" in element.tag]
    images = {"#" + image.get("id"): row(cells(image)) for image in root.find(SVG + "defs")}
    screen = root.find(SVG + "svg")
    seconds = float(root.findall(SVG + "rect")[-1][0].get("dur")[:-1])
    sizes = changes(screen.find(SVG + "rect"), "height")
    strips = [changes(use, "href") for use in screen.findall(SVG + "use")]
    for moment in sorted({at for strip in strips + [sizes] for at, _ in strip}):
        height = int([size for at, size in sizes if at <= moment][-1]) // HEIGHT
        rows = [images[[image for at, image in strip if at <= moment][-1]] for strip in strips]
        yield moment * seconds, "".join(text + "\n" for text in rows[:height])


def rows_of(data, width, height, size):
    """The rows of a PNG without its filters (its specification, section 9)."""
    before, length = bytes(width * size), width * size
    for n in range(height):
        kind, line = data[n * (length + 1)], bytearray(data[n * (length + 1) + 1:(n + 1) * (length + 1)])
        for i in range(length):
            left = line[i - size] if i >= size else 0
            up, corner = before[i], before[i - size] if i >= size else 0
            paeth = min((left, up, corner), key=lambda value: abs(left + up - corner - value))
            line[i] = (line[i] + (0, left, up, (left + up) // 2, paeth)[kind]) % 256
        yield line
        before = line


def pixels(file, points):
    data, at, image = open(file, "rb").read(), 8, b""
    while at < len(data):
        length, kind = struct.unpack(">I4s", data[at:at + 8])
        body, at = data[at + 8:at + 8 + length], at + 12 + length
        if kind == b"IHDR":
            width, height, depth, color = struct.unpack(">IIBB", body[:10])
        if kind == b"IDAT":
            image += body
    assert depth == 8 and color in (2, 6)
    size = 3 if color == 2 else 4
    rows = list(rows_of(zlib.decompress(image), width, height, size))
    return [list(rows[y][x * size:x * size + 3]) for x, y in points]


if sys.argv[1] == "frames":
    print(json.dumps(list(frames(sys.argv[2]))))
else:
    print(json.dumps(pixels(sys.argv[2], [tuple(map(int, point.split(","))) for point in sys.argv[3:]])))
