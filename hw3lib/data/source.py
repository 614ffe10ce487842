"""The files that the user gave: of a folder, an archive, or a single file; listed and opened alike.

What may stand in a file from anyone is bounded here, before any of it is unpacked. Whatever a
parser raises later becomes one line at the `door`, which names what was being read.
"""

from __future__ import annotations

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import os
import re
import stat
import tarfile
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from hw3lib import UserError
from hw3lib.data.faces import DataError

MAX_MEMBER = 4 * 2**30  # bytes, unpacked
MAX_TOTAL = 8 * 2**30
MAX_MEMBERS = 500_000
BOMB = 2**27  # bytes, of a member or of all, from which a ratio over MAX_RATIO is not honest
MAX_RATIO = 50  # text of pixels packs about 4 to 1, floats of three equal channels 25 to 1
UTF8 = 0x800  # the flag of a zip's member whose name is in UTF-8
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
SYSTEM = ("__MACOSX", "Thumbs.db", "desktop.ini")  # left by file managers; passed over unsaid
COMPRESSED = {"gzip": gzip.open, "bzip2": bz2.open, "xz": lzma.open}
ARCHIVES = ("zip", "tar", *COMPRESSED)
KINDS = {  # by the end of a name, where the content does not tell
    **dict.fromkeys(
        (".jpg", ".jpeg", ".jfif", ".png", ".webp", ".avif", ".gif", ".bmp", ".heic", ".heif",
         ".tif", ".tiff"), "image"),
    **dict.fromkeys((".csv", ".tsv", ".txt"), "table"),
    ".npy": "npy", ".npz": "npz", ".parquet": "parquet", ".zip": "zip", ".tar": "tar",
    ".gz": "gzip", ".tgz": "gzip", ".bz2": "bzip2", ".xz": "xz",
}  # fmt: skip
MAGIC = (  # what files begin with
    (rb"\x93NUMPY", "npy"), (rb"PAR1", "parquet"), (rb"PK(\x03\x04|\x05\x06)", "zip"),
    (rb"\x1f\x8b", "gzip"), (rb"BZh\d", "bzip2"), (rb"\xfd7zXZ", "xz"), (rb".{257}ustar", "tar"),
    (rb"\xff\xd8\xff|\x89PNG|GIF8|RIFF....WEBP|....ftyp(avi|hei|mif|msf)|BM.{4}\0{4}"
     rb"|II\*\0|MM\0\*", "image"),
    (rb"\x80[\x02-\x05]", "pickle (it could run code)"), (rb"7z\xbc\xaf|Rar!", "7z or RAR archive"),
    (rb"\x89HDF", "HDF5 file"), (rb"\(\xb5/\xfd", "Zstandard file"),
)  # fmt: skip
_READING: ContextVar[str] = ContextVar("what is being read, for the message of a parser's error")


@dataclass
class Entry:
    """One file.

    name  : path below what the user gave;  where : the path to show in messages
    size  : bytes;  disk : bytes of the file on the disk that it is, or comes from
    unused : why its content is not taken, "" if it is
    """

    name: str
    where: str
    size: int
    disk: int
    opener: Callable[[], BinaryIO]
    unused: str = ""

    @cached_property
    def path(self) -> PurePosixPath:
        return PurePosixPath(self.name)

    @cached_property
    def kind(self) -> str:
        """What it is: by the name for an image, else by its first bytes, else by the name."""
        by_name = KINDS.get(self.path.suffix.casefold(), "")
        if by_name == "image":  # the decoder looks at the content of each
            return by_name
        with self.open() as stream:
            head = stream.read(512)
        found = next((k for m, k in MAGIC if re.match(m, head, re.DOTALL)), "")
        if found == "zip" and by_name == "npz":
            return "npz"
        text = b"\0" not in head or head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        return found or by_name or ("table" if text and head else "file of another kind")

    def now_reading(self, place: str = "") -> None:
        """From here on the door's message names this file, or a place in it."""
        _READING.set(place or self.where)

    def open(self) -> BinaryIO:
        """The file as a binary stream; an archive's member is unpacked as it is read."""
        self.now_reading()
        return self.opener()

    def read(self, limit: int = MAX_MEMBER) -> bytes:
        """All of it; DataError where it is longer than `limit` bytes."""
        if self.size > limit:
            raise DataError(f"{self.where}: {self.size:,} bytes are too much; remove the file")
        with self.open() as stream:
            return stream.read()


@contextlib.contextmanager
def door(path: str | Path) -> Iterator[None]:
    """The one place where what a parser raises becomes one line, about the file that it read last.

    Raises
    ------
    DataError
        for any exception but a UserError: bad bytes raise nearly anything in parsers.
    """
    _READING.set(str(path))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's of sizes: our own limit is stricter
            yield
    except UserError:
        raise
    except MemoryError as error:
        raise DataError(f"{_READING.get()}: too large for the memory; split it") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno:  # no permission, a drive that went away
            where = error.filename or _READING.get()
            raise DataError(f"{where}: cannot be read ({error.strerror})") from error
        reason = (str(error).splitlines() or [""])[0][:80] or type(error).__name__
        what = f"damaged, or not what its name says ({reason}); copy or download it again"
        if "Object arrays" in reason:
            what = "refused: pickled Python objects could run code; save plain arrays (numpy.savez)"
        raise DataError(f"{_READING.get()}: {what}") from error


def list_files(path: Path) -> list[Path]:
    """All files at or under `path`, in a stable order."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        what = "neither a file nor a folder; give the path of the images"
        what = what if path.exists() else "does not exist; check the spelling of the path"
        raise DataError(f"{path}: {what}")
    return [Path(file) for file in sorted(_walk(str(path)))]


def _walk(top: str) -> Iterator[str]:
    """The files below a folder; a link is followed, but no folder is entered twice."""
    folders, seen, count = [top], set(), 0
    while folders:
        folder = folders.pop()
        info = os.stat(folder)
        if (info.st_dev, info.st_ino) in seen:  # a link that leads back up
            continue
        seen.add((info.st_dev, info.st_ino))
        for item in filter(lambda item: _wanted(item.name), os.scandir(folder)):
            count += 1
            if count > MAX_MEMBERS:  # a link to the whole disk, perhaps
                raise DataError(
                    f"{top}: holds more than {MAX_MEMBERS:,} files; give the folder of the images"
                )
            if any("\ud800" <= letter <= "\udfff" for letter in item.name):
                raise DataError(
                    f"{folder}: the file name {item.name!a} is not UTF-8; rename the file"
                )
            if item.is_dir():
                folders.append(item.path)
            elif item.is_file():
                yield item.path
            else:
                raise DataError(f"{item.path}: a broken link, or no file; fix or remove it")


def _wanted(name: str) -> bool:
    return not name.startswith(".") and name not in SYSTEM


def entry_of(file: Path, base: Path) -> Entry:
    """A file on the disk."""
    size = file.stat().st_size
    return Entry(file.relative_to(base).as_posix(), str(file), size, size, lambda: file.open("rb"))


def members(entry: Entry, prefix: str) -> list[Entry]:
    """The files in an archive, their names below `prefix`; nothing is unpacked to the disk.

    Raises
    ------
    DataError
        for an archive that leads outside, holds links, or unpacks to more than any data set.
    """
    if entry.kind in ("zip", "npz"):
        found = list(_zip_members(entry))
    else:
        data = entry.read() if entry.kind == "tar" else _unpacked(entry)
        if data[257:262] == b"ustar":
            found = list(_tar_members(entry, data))
        else:
            name = re.sub(r"\.(gz|bz2|xz)$", "", entry.path.name)
            found = [(name, len(data), "", lambda: io.BytesIO(data))]
    codec = code_page(b"\n".join(name for name, *_ in found if isinstance(name, bytes)))
    entries = []
    for name, size, fault, opener in found:
        name = name.decode(codec, "replace") if isinstance(name, bytes) else name
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name[:3]:
            fault = "leads out of the archive"
        if fault:
            raise DataError(
                f"{entry.where}: the member {name[:80]!r} {fault}; unpack an archive that you trust"
            )
        if all(map(_wanted, name.split("/"))):
            entries.append(Entry(prefix + name, f"{entry.where}/{name}", size, entry.disk, opener))
    return entries


# name (bytes: in a code page that nobody tells), size, what is wrong with it, how to open it
Member = tuple[str | bytes, int, str, Callable[[], BinaryIO]]


def _zip_members(entry: Entry) -> Iterator[Member]:
    archive = zipfile.ZipFile(io.BytesIO(entry.read()))  # in a zip, seeking would start again
    infos = [info for info in archive.infolist() if info.filename and not info.is_dir()]
    total, packed = (sum(getattr(i, k) for i in infos) for k in ("file_size", "compress_size"))
    if len(infos) > MAX_MEMBERS or total > unpack_limit(min(packed, entry.disk), MAX_TOTAL):
        raise DataError(
            f"{entry.where}: unpacks to {total:,} bytes in {len(infos):,} files; unpack an archive "
            "that you trust"
        )
    for info in infos:
        fault = ""
        if info.compress_type not in METHODS:  # their decoders' memory has no bound
            fault = f"is packed by method {info.compress_type}, not deflated"
        elif info.file_size > unpack_limit(info.compress_size, MAX_MEMBER):
            fault = f"unpacks to {info.file_size:,} bytes"
        elif stat.S_ISLNK(info.external_attr >> 16):
            fault = "is a link"
        name = info.filename if info.flag_bits & UTF8 else info.orig_filename.encode("cp437")
        yield name, info.file_size, fault, lambda info=info: archive.open(info)


def _tar_members(entry: Entry, data: bytes) -> Iterator[Member]:
    archive = tarfile.open(fileobj=io.BytesIO(data), mode="r:")  # noqa: SIM115
    most = 10_000 + entry.size // 40  # each takes some bytes, however it is packed
    for count, info in enumerate(archive):
        if count > most:
            raise DataError(f"{entry.where}: more than {most:,} files; unpack one that you trust")
        if not info.isdir():
            fault = "" if info.isreg() and not info.issparse() else "is a link, or no file"
            name = info.name.encode("utf-8", "surrogateescape")
            yield name, info.size, fault, lambda info=info: archive.extractfile(info)


def _unpacked(entry: Entry) -> bytes:
    """What a compressed file holds."""
    limit = unpack_limit(min(entry.size, entry.disk), MAX_MEMBER)
    out = io.BytesIO()
    with entry.open() as packed, COMPRESSED[entry.kind](packed) as stream:
        while block := stream.read(2**20):
            out.write(block)
            if out.tell() > limit:
                raise DataError(
                    f"{entry.where}: unpacks to more than {limit:,} bytes; use one that you trust"
                )
    return out.getvalue()


def unpack_limit(packed: int, most: int) -> int:
    """The bytes that this many may unpack to."""
    return min(most, max(BOMB, MAX_RATIO * packed))


def code_page(raw: bytes) -> str:
    """The encoding of a text whose writer does not tell: UTF-8, Big5, GB 2312, else DOS's cp437.

    Nearly all of GB 2312 could be Big5 as well. Big5's common characters begin with the bytes
    0xA4 to 0xC6, which tells them apart but for very short texts. The last character may be cut.
    """
    high = [pair[0] for pair in re.findall(rb"[\x81-\xfe].", raw, re.DOTALL)]
    common = sum(0xA4 <= byte <= 0xC6 for byte in high) >= 0.8 * len(high)
    for codec in ("utf-8-sig", *(["cp950"] if common else []), "gb2312", "cp950"):
        with contextlib.suppress(UnicodeDecodeError):
            codecs.getincrementaldecoder(codec)().decode(raw)
            return codec
    return "cp437"


def natural(name: str) -> tuple[str, str]:
    """A sort key by which 2.jpg comes before 10.jpg: before each number stands its length."""
    return re.sub(r"0*([0-9]+)", lambda m: f"{len(m[1]):05}{m[1]}", name), name
