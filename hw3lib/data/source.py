"""Source: the files of a folder, a zip or a single file, listed and opened the same way."""

from __future__ import annotations

import io
import lzma
import os
import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from hw3lib.data.faces import DataError

PICTURES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
TABLES = {".csv", ".parquet", ".npz", ".npy"}
KNOWN = PICTURES | TABLES | {".zip"}
FERPLUS = "fer2013new.csv"  # the name that the FER+ authors gave their votes
MAX_MEMBER = 4 * 2**30  # bytes, unpacked
MAX_TOTAL = 8 * 2**30
MAX_MEMBERS = 500_000
BOMB = 2**27  # bytes, of a member or of all, from which a ratio over MAX_RATIO is not honest
MAX_RATIO = 50  # text of pixels packs about 4 to 1, floats of three equal channels 25 to 1
MAX_LINE = 2**20  # bytes; a row of 2,304 pixels has about 8,500
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
# what zipfile raises for damaged bytes, for a password, and for what it does not know
_FAULTS = (
    OSError, EOFError, ValueError, RuntimeError, NotImplementedError, struct.error,
    zipfile.BadZipFile, zlib.error, lzma.LZMAError,
)  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One file of a Source.

    name  : path below what the user gave, with forward slashes
    where : the path to show in messages
    """

    name: str
    where: str
    size: int
    opener: Callable[[], BinaryIO]

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.name).suffix.casefold()

    @property
    def stem(self) -> str:
        return PurePosixPath(self.name).stem

    @property
    def folder(self) -> str:
        """The path of the folder it lies in, "" at the top."""
        parent = str(PurePosixPath(self.name).parent)
        return "" if parent == "." else parent

    def open(self) -> BinaryIO:
        """The file as a binary stream; a zip member is unpacked in memory as it is read."""
        return self.opener()

    def read(self, limit: int = MAX_MEMBER) -> bytes:
        """All of it; DataError where it is longer, cannot be read, or its zip is damaged."""
        if self.size > limit:
            raise DataError(f"{self.where}: {self.size:,} bytes are too much; remove the file")
        try:
            with self.open() as stream:
                return stream.read()
        except _FAULTS as error:
            raise DataError(f"{self.where}: cannot be read ({error}); copy it again") from None

    def lines(self) -> Iterator[bytes]:
        """Its lines, without their ends; read as they are asked for."""
        try:
            with io.BufferedReader(self.open(), 2**20) as stream:
                while line := stream.readline(MAX_LINE):
                    if len(line) == MAX_LINE:
                        raise DataError(f"{self.where}: lines too long to be a table; check it")
                    yield line.rstrip(b"\r\n")
        except _FAULTS as error:
            raise DataError(f"{self.where}: cannot be read ({error}); copy it again") from None


class Source:
    """What the user gave, as entries in natural order (2 before 10).

    Zips inside a folder are opened as if they were folders of their name, but only where the
    folder holds no pictures beside them: a zip usually lies beside what was unpacked from it.
    """

    def __init__(self, path: Path, files: list[Path]) -> None:
        self.path = path
        self.root = path.stem if path.is_file() else path.name
        self.entries: list[Entry] = []
        self.problems: list[str] = []
        self._stack = ExitStack()
        base = path if path.is_dir() else path.parent
        zips = [f for f in files if f.suffix.casefold() == ".zip"]
        plain = [f for f in files if f not in set(zips)]
        for file in plain:
            name = file.relative_to(base).as_posix()
            self.entries.append(
                Entry(name, str(file), file.stat().st_size, lambda file=file: file.open("rb"))
            )
        if zips and any(_holds_pictures(entry) for entry in self.entries):
            self.problems.append(f"{zips[0].name} not read: the folder holds pictures beside it")
            zips = []
        for file in zips:
            prefix = "" if file == path else file.relative_to(base).with_suffix("").as_posix() + "/"
            self.entries += self._members(file, prefix)
        self.entries.sort(key=lambda entry: natural(entry.name))

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _members(self, file: Path, prefix: str) -> list[Entry]:
        try:
            archive = self._stack.enter_context(zipfile.ZipFile(file))
        except _FAULTS:
            raise DataError(f"{file}: not a zip, or a damaged one; download it again") from None
        members = [i for i in archive.infolist() if i.filename and not i.is_dir()]
        check_archive(file, members)
        return [
            Entry(
                prefix + info.filename,
                f"{file}/{info.filename}",
                info.file_size,
                lambda info=info: _open_member(archive, info, file),
            )
            for info in members
            if _wanted_member(info.filename)
        ]


def list_files(path: Path) -> list[Path]:
    """The files under `path` that a layout could use, in a stable order.

    A single file brings along what belongs to it: the FER+ votes, the other half of a `.npy` pair.
    """
    if path.is_file():
        return [path, *_mates(path)]
    if path.exists() and not path.is_dir():
        raise DataError(f"{path}: neither a file nor a folder; give the path of the pictures")
    if not path.is_dir():
        raise DataError(f"{path}: does not exist; check the spelling of the path")
    return [Path(file) for file in sorted(_walk(str(path)))]


def _mates(path: Path) -> list[Path]:
    from hw3lib.data.readers.arrays import parse_name

    if path.suffix.casefold() == ".csv":
        votes = path.with_name(FERPLUS)
        return [votes] if votes.is_file() and votes != path else []
    if path.suffix.casefold() != ".npy":
        return []
    role, rest = parse_name(path.stem)
    others = [(m, *parse_name(m.stem)) for m in sorted(path.parent.glob("*.npy"))]
    return [m for m, r, other in others if m != path and other == rest and r != role]


def _is_utf8(name: str) -> bool:
    """False for a name whose bytes Python could only keep as lone surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


def _walk(top: str) -> Iterator[str]:
    """The files below a folder; a link is followed, but no folder is entered twice."""
    folders, seen, count = [top], set(), 0
    while folders:
        folder = folders.pop()
        try:
            info = os.stat(folder)
            if (info.st_dev, info.st_ino) in seen:  # a link that leads back up
                continue
            seen.add((info.st_dev, info.st_ino))
            inside = list(os.scandir(folder))
        except OSError as error:
            raise DataError(f"{folder}: cannot be read ({error.strerror})") from None
        count += len(inside)
        if count > MAX_MEMBERS:  # a link to the whole disk, perhaps
            raise DataError(
                f"{top}: holds more than {MAX_MEMBERS:,} files; give the folder of the pictures"
            )
        for item in inside:
            if not _is_utf8(item.name):
                raise DataError(
                    f"{folder}: the file name {item.name!a} is not UTF-8; rename the file"
                )
            is_folder = item.is_dir()
            if not _wanted(item.name, is_folder):
                continue
            if is_folder:
                folders.append(item.path)
            elif item.is_file():
                yield item.path
            else:
                raise DataError(f"{item.path}: a broken link, or no file; mend or remove it")


def _wanted(name: str, is_folder: bool = False) -> bool:
    if name.startswith((".", "__MACOSX")) or name == "pretrained":
        return False
    return is_folder or os.path.splitext(name)[1].casefold() in KNOWN


def _wanted_member(name: str) -> bool:
    *folders, last = name.split("/")
    return all(_wanted(f, True) for f in folders) and _wanted(last) and last[-4:].lower() != ".zip"


def _holds_pictures(entry: Entry) -> bool:
    from hw3lib.data.table import open_table

    return entry.suffix != ".csv" or open_table(entry).kind == "pixels"


def check_archive(file: object, members: list[zipfile.ZipInfo]) -> None:
    """Refuse a zip that leads outside, holds links or unpacks to more than any data set."""
    total, packed = (sum(getattr(m, k) for m in members) for k in ("file_size", "compress_size"))
    if len(members) > MAX_MEMBERS or total > honest(packed, MAX_TOTAL):
        raise DataError(
            f"{file}: unpacks to {total:,} bytes in {len(members):,} files; unpack a zip you trust"
        )
    for info in members:
        name = info.filename
        what = ""
        if name.startswith(("/", "\\")) or ".." in re.split(r"[/\\]", name) or ":" in name[:3]:
            what = "leads out of the archive"
        elif stat.S_ISLNK(info.external_attr >> 16):
            what = "is a link"
        elif info.flag_bits & 1:
            what = "is encrypted"
        elif info.compress_type not in METHODS:
            what = f"is packed by method {info.compress_type}, not deflated"
        elif info.file_size > honest(info.compress_size, MAX_MEMBER):
            what = f"unpacks to {info.file_size:,} bytes"
        if what:
            raise DataError(f"{file}: the member {name[:80]!r} {what}; unpack a zip you trust")


def honest(packed: int, most: int) -> int:
    """The bytes that this many may unpack to."""
    return min(most, max(BOMB, MAX_RATIO * packed))


def _open_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, file: Path) -> BinaryIO:
    try:
        return archive.open(info)
    except _FAULTS as error:
        raise DataError(f"{file}/{info.filename}: cannot be unpacked ({error})") from None


def natural(name: str) -> list[tuple[int, int, str, str]]:
    """A sort key by which 2.jpg comes before 10.jpg.

    Numbers are compared by their length and digits: int() stops at 4,300 of them.
    """
    key = []
    for part in filter(None, re.split(r"([0-9]+)", name)):
        digits = part.lstrip("0") if part.isdecimal() else ""
        key.append((0, len(digits), digits, part) if part.isdecimal() else (1, 0, "", part))
    return key
