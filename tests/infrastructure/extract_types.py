"""Write the index of Azure's resource types that is inside Microsoft's own `azmcp` program: azmcp, then a folder."""

import json
import struct
import sys
import zlib
from pathlib import Path

import dnfile

# A single-file .NET program ends with a list of the files in it; this signature follows the list's offset.
SIGNATURE = bytes.fromhex("8b1202b96a612038727b930214d7a03213f5b9e6efae3318ee3b2dce24b36aae")


class Reader:
    """Numbers and texts one after the other."""

    def __init__(self, content: bytes, at: int) -> None:
        self.content, self.at = content, at

    def numbers(self, layout: str) -> tuple[int, ...]:
        """As `struct` reads them."""
        found = struct.unpack_from(layout, self.content, self.at)
        self.at += struct.calcsize(layout)
        return found

    def text(self) -> str:
        """A text after its length."""
        (length,) = self.numbers("<B")
        if length > 127:
            (more,) = self.numbers("<B")
            length = length & 127 | more << 7
        found = self.content[self.at : self.at + length].decode()
        self.at += length
        return found


def bundled(program: bytes, part: str) -> bytes:
    """The file in a single-file .NET program in whose name this is."""
    at = program.find(SIGNATURE)
    reader = Reader(program, struct.unpack_from("<q", program, at - 8)[0])
    _, _, count = reader.numbers("<IIi")
    reader.text()
    reader.at += 40
    for _ in range(count):
        offset, size, packed = reader.numbers("<qqq")
        reader.at += 1
        if part in reader.text():
            content = program[offset : offset + (packed or size)]
            return zlib.decompress(content, -15) if packed else content
    raise LookupError(part)


def main(program: Path, folder: Path) -> None:
    """Write index.json and the files of types that it names."""
    library = dnfile.dnPE(data=bundled(program.read_bytes(), "AzTypes"))
    for resource in library.net.resources:
        name = str(resource.name)
        if name.endswith(".deflated"):
            path = folder / name.removesuffix(".deflated")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(zlib.decompress(bytes(resource.data), -15))
    print(len(json.loads((folder / "index.json").read_text(encoding="utf-8"))["resources"]), "types")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
