"""Packed Runs, as `hw3 runs unpack` gets them from another machine."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from collections.abc import Callable

from hostile import runs, weights
from hostile.case import Place, add, bad

SPECIAL = {
    "a pipe": tarfile.FIFOTYPE, "a device": tarfile.CHRTYPE, "a disk": tarfile.BLKTYPE,
}  # fmt: skip


def entry(name: str, data: bytes = b"", **values: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    for key, value in values.items():
        setattr(info, key, value)
    return info, data


def sound() -> list[tuple[tarfile.TarInfo, bytes]]:
    """The members of one Run."""
    home = runs.name_of_run()
    return [entry(f"{home}/{name}", data) for name, data in runs.sealed(runs.whole()).items()]


def tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def made(members: Callable[[], list]) -> Callable[[Place], object]:
    return lambda place: place.put("runs.tar.gz", gzip.compress(tar(*members()), mtime=0))


def after(*members: tuple[tarfile.TarInfo, bytes]) -> Callable[[Place], object]:
    """A sound Run and then these."""
    return made(lambda: [*sound(), *members])


def other(name: str, data: bytes | Callable[[bytes], bytes]) -> Callable[[Place], object]:
    """The Run with another file, its record as it was."""

    def members() -> list:
        files = runs.sealed(runs.whole())
        files[name] = data(files[name]) if callable(data) else data
        return [entry(f"{runs.name_of_run()}/{n}", d) for n, d in files.items()]

    return made(members)


def _head(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo("x-0123456789ab/record.json")
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


def zeros(kind: bytes = tarfile.REGTYPE, size: int = 200 * 2**20) -> Callable[[Place], object]:
    """A head that is followed by so many bytes of nothing, in less than a megabyte."""

    def make(place: Place):
        out = io.BytesIO()
        with gzip.GzipFile(fileobj=out, mode="wb", compresslevel=1, mtime=0) as stream:
            stream.write(_head(size, kind))
            for _ in range(size // 2**20):
                stream.write(bytes(2**20))
        return place.put("runs.tar.gz", out.getvalue())

    return make


def _flip(data: bytes) -> bytes:
    return data[:2000] + bytes([data[2000] ^ 0xFF]) + data[2001:]


def whole() -> bytes:
    return gzip.compress(tar(*sound()), mtime=0)


for name in ("../evil/record.json", "a/../../evil", "../../../record.json", "./record.json"):
    add("archive", "escape", name.replace("/", "|"), after(entry(name, b"{}")), "no part of a Run")
for name in ("/record.json", "/tmp/evil/record.json", "C:/record.json", "..\\x/record.json"):
    add("archive", "escape", f"absolute {name}".replace("/", "|"), after(entry(name, b"{}")),
        "no part of a Run")  # fmt: skip
for what, kind in SPECIAL.items():
    add("archive", "special file", what, after(entry("x-0123456789ab/record.json", type=kind)),
        "no part of a Run")  # fmt: skip
for kind, what, make, *words in (
    ("link", "a link", after(entry("x-0123456789ab/record.json", type=tarfile.SYMTYPE,
                                   linkname="/etc/passwd")), "no part of a Run"),
    ("link", "a hard link", after(entry("x-0123456789ab/record.json", type=tarfile.LNKTYPE,
                                        linkname="../../x")), "no part of a Run"),
    ("link", "a folder that is a link", made(lambda: [
        entry(runs.name_of_run(), type=tarfile.SYMTYPE, linkname="/tmp"), *sound()]),
     "no part of a Run"),
    ("truncated", "in half", lambda p: p.put("runs.tar.gz", whole()[: len(whole()) // 2]), "again"),
    ("truncated", "the last bytes", lambda p: p.put("runs.tar.gz", whole()[:-9]), "pack it again"),
    ("empty", "no byte", lambda p: p.put("runs.tar.gz", b""), "pack it again"),
    ("empty", "no member", made(list), "no Run"),
    ("other content", "web page", lambda p: p.put("runs.tar.gz", "<html>"), "pack it again"),
    ("other content", "zip", lambda p: p.put("runs.tar.gz", b"PK\3\4" + bytes(60)), "again"),
    ("other content", "xz", lambda p: p.put("runs.tar.gz", lzma.compress(tar(*sound()))), "again"),
    ("flipped bit", "in the archive", lambda p: p.put("runs.tar.gz", _flip(whole())), "again"),
    ("flipped bit", "in a file", other(runs.WEIGHTS, runs.flip), "damaged Run", runs.WEIGHTS),
    ("bomb", "zeros", zeros(), "unpacks to"),
    ("bomb", "a long name", zeros(tarfile.GNUTYPE_LONGNAME), "unpacks to"),
    ("bomb", "a long header", zeros(tarfile.XHDTYPE), "unpacks to"),
    ("lying size", "a size of 8 TB", lambda p: p.put("runs.tar.gz", gzip.compress(
        _head(8 * 2**40) + bytes(4096))), "runs.tar.gz"),
    ("lying size", "a size below 0", lambda p: p.put("runs.tar.gz", gzip.compress(
        _head(5).replace(b"00000000005", b"-0000000005") + bytes(4096))), "pack it again"),
    ("wrong names", "a script", after(entry("x-0123456789ab/run.sh", b"id")), "no part of a Run"),
    ("wrong names", "hidden", after(entry(".ssh/record.json", b"{}")), "no part of a Run"),
    ("wrong names", "of another recipe", made(lambda: [
        entry(info.name.replace(runs.name_of_run(), "slim_resnet-0123456789ab"), data)
        for info, data in sound()]), "slim_resnet-0123456789ab"),
    ("hostile name", "a line end", after(entry("x\n\x1b[2J/record.json", b"{}")),
     r"x\n\x1b[2J", "no part of a Run"),
    ("hostile name", "markup", after(entry("<b>/record.json", b"{}")), "'<b>/record.json'"),
    ("duplicate id", "a file twice", made(lambda: [*sound(), sound()[0]]), "twice"),
    ("missing", "record", made(lambda: [m for m in sound() if "record" not in m[0].name]),
     "damaged Run"),
    ("missing", "logits", made(lambda: [m for m in sound() if "logits" not in m[0].name]),
     "damaged Run"),
    ("wrong type", "record", other(runs.RECORD, b"[]"), "damaged Run"),
    ("deep", "record", other(runs.RECORD, b"[" * 100_000), "damaged Run"),
    ("wrong encoding", "recipe", other(runs.RECIPE, b"\xff\xfe"), "damaged Run"),
    ("too many", "files", made(lambda: [entry(f"x{i:06d}-0123456789ab/record.json")
                                        for i in range(1000)]), "runs.tar.gz"),
):  # fmt: skip
    add("archive", kind, what, make, *words)


@bad("archive", "pickle", "weights.safetensors", "pickle")
def weights_of_torch(place: Place):
    data = weights.torch_file(place, "w.pt").read_bytes()
    files = runs.sealed({**runs.whole(), runs.WEIGHTS: data})
    return made(lambda: [entry(f"{runs.name_of_run()}/{n}", d) for n, d in files.items()])(place)


@bad("archive", "missing", "no-runs.tar.gz")
def no_such_file(place: Place):
    return place.folder / "no-runs.tar.gz"
