"""Faces from any layout: `load(path)` finds out how the images lie and reads them.

Another way in which folders name classes or splits goes into `folders`; labels in another format
(JSON, XML), beside images as well, into `tables`; a new type of image file is a reader in READERS,
told by `source` (KINDS, MAGIC). All give Rows to `audit.assemble`, which checks them; what changes
the Faces of files that are read already raises `cache.VERSION`. `split` and `copies` part the
Faces.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

from hw3lib.data import arrays, cache, folders, parquet, tables
from hw3lib.data.audit import assemble
from hw3lib.data.faces import DataError, Faces
from hw3lib.data.labels import split_word
from hw3lib.data.source import ARCHIVES, Entry, door, entry_of, list_files, members, natural
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.data.tables import Table, open_table
from hw3lib.files import ROOT

FOLDER = ROOT / "data"  # where users put their images
OURS = ("README.md", "pretrained")  # what lies there already
FERPLUS = "fer2013new.csv"  # the name that the FER+ authors gave their votes
DEPTH = 3  # archives in archives
READERS = {  # what faces come as -> how they are read, from all that lies there
    "parquet": lambda of: parquet.read(of["parquet"]),
    "npy": lambda of: arrays.read(of["npy"]),
    "pixels": lambda of: tables.read(of["pixels"], of.get("votes", [])),
    "image": lambda of: folders.read(of["image"], of.get("labels", [])),
}


def load(path: str | Path = "", *, synthetic: int = 4000) -> Faces:
    """Read the images at `path`: a file, folder or archive in any layout.

    Parameters
    ----------
    path : "" takes the repository's data/ folder where it holds images, else the synthetic
        faces; "synthetic" or "synthetic:N" asks for those
    synthetic : how many synthetic faces, where they are taken

    Returns
    -------
    Faces, memory-mapped from the cache where it could be written (see hw3lib.data.cache).

    Raises
    ------
    DataError
        one line that names the file, the row and the remedy, for anything that cannot be read.
    """
    text = str(path)
    if not text:
        text = str(FOLDER) if FOLDER.is_dir() and files_of(FOLDER) else "synthetic"
    if text == "synthetic" or text.startswith("synthetic:"):
        return _synthetic(text.partition(":")[2] or str(synthetic))
    place = Path(text).expanduser()
    with door(place):
        return _kept(place, lambda: files_of(place), lambda: read_faces(place))


def _synthetic(n: str) -> Faces:
    """Synthetic faces, kept like any data set: what they are made from is the code that draws."""
    if not re.fullmatch("[1-9][0-9]{0,6}", n):
        raise DataError(f"synthetic:{n}: give a number of faces, such as synthetic:4000")
    code = Path(__file__).with_name(f"synthetic-{n}")  # names the cache alone
    files = sorted(code.parent.glob("*.py"))
    return _kept(code, lambda: files, lambda: synthetic_faces(int(n)))


def _kept(path: Path, files: Callable[[], list[Path]], make: Callable[[], Faces]) -> Faces:
    """The Faces at `path`: from the cache if it is still true, else made now and kept."""
    stamped = cache.stamp(path, files())
    if (faces := cache.load_cached(path, stamped)) is not None:
        return faces
    faces = make()
    if stamped != cache.stamp(path, files()):  # changed while it was read
        return faces
    cache.save(path, faces, stamped)
    return cache.load_cached(path, stamped) or faces


def files_of(path: Path) -> list[Path]:
    """The files that are looked at; a single file brings along what belongs to it.

    That is the FER+ votes beside a CSV, and the other arrays of a `.npy` file's set.
    """
    files = list_files(path)
    if path.resolve() == FOLDER.resolve():
        return [f for f in files if f.relative_to(path).parts[0] not in OURS]
    if path.is_file() and path.suffix.casefold() == ".csv" and path.name != FERPLUS:
        return files + [votes for votes in [path.with_name(FERPLUS)] if votes.is_file()]
    if path.is_file() and path.suffix.casefold() == ".npy":
        role, rest = arrays.parse_name(path.stem)
        beside = {f: arrays.parse_name(f.stem) for f in sorted(path.parent.glob("*.npy"))}
        return files + [f for f, (r, other) in beside.items() if other == rest and r != role]
    return files


def read_faces(path: Path) -> Faces:
    """Find the one layout at `path` and read it now, past the cache.

    Raises
    ------
    DataError
        where there is no layout, more than one, or anything in it that cannot be read.
    """
    # the name of a folder or archive that the user gave is free text, unless it is "test" alone
    base = path if path.is_dir() and not split_word(path.name) else path.parent
    with door(path):
        given = [entry_of(file, base) for file in files_of(path)]
        every = sorted(_opened(given, path), key=lambda entry: natural(entry.name))
        of: dict[str, list] = {}  # what it is -> Entries, or Tables
        for entry in every:
            if not entry.unused:
                item = open_table(entry) if entry.kind == "table" else entry
                of.setdefault(item.kind, []).append(item)
        found = [kind for kind in READERS if kind in of]
        if not found:
            raise _nothing(path, of)
        if len(found) > 1:
            one, other = (_entry(of[kind][0]).where for kind in found[:2])
            raise DataError(
                f"{path}: holds several data sets ({one} and {other}); "
                "give the path of one, or move the other away"
            )
        rows, layout = READERS[found[0]](of)
        joined = {"course-pictures": "labels", "course-csv": "votes", "kaggle-csv": "votes"}
        for kind in of.keys() - {found[0], joined.get(layout)}:
            for item in of[kind]:
                _entry(item).unused = f"it holds {kind}" if isinstance(item, Table) else f"a {kind}"
        return assemble(rows, layout, str(path), [*_not_used(every)])


def _entry(item: Entry | Table) -> Entry:
    return item.entry if isinstance(item, Table) else item


def _opened(entries: list[Entry], path: Path, depth: int = 0) -> Iterator[Entry]:
    """The entries, with the members of archives in their place.

    Archives beside images are left alone: they usually lie beside what was unpacked from them.
    """
    packed = any(entry.kind in ARCHIVES for entry in entries)
    beside = packed and any(map(_holds_faces, entries))
    for entry in entries:
        if entry.kind == "npz":
            inside = members(entry, entry.name + "/")
            if any(member.kind != "npy" for member in inside):
                raise DataError(f"{entry.where}: holds something else than NumPy arrays")
            yield from inside
        elif entry.kind in ARCHIVES and not beside and depth < DEPTH:
            inside = entry.path.with_suffix("")
            whole = entry.where == str(path) and not split_word(inside.name)
            yield from _opened(members(entry, "" if whole else f"{inside}/"), path, depth + 1)
        else:
            if entry.kind in ARCHIVES:
                entry.unused = "images lie beside it" if beside else "too deep"
            yield entry


def _holds_faces(entry: Entry) -> bool:
    if entry.kind == "table":
        return open_table(entry).kind == "pixels"
    return entry.kind == "npz" or entry.kind in READERS


def _not_used(entries: list[Entry]) -> Iterator[str]:
    """A line for each reason why files were not used."""
    reasons: dict[str, list[str]] = {}
    for entry in entries:
        reasons.setdefault(entry.unused, []).append(entry.where)
    reasons.pop("", None)
    for why, files in reasons.items():
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        yield f"{files[0]}{more} not used: {why}"


def _nothing(path: Path, of: dict[str, list]) -> DataError:
    if "labels" in of:
        where = of["labels"][0].entry.where
        return DataError(f"{where}: labels without images; give the folder that holds both")
    if "no faces" in of:
        table = max(of["no faces"], key=lambda table: len(table.names))
        return DataError(
            f"{table.entry.where}: the columns are {', '.join(table.names)[:80]!r}; a table of "
            "faces has label,feature or emotion,pixels,Usage or id,feature"
        )
    for kind, (first, *_) in of.items():
        return DataError(
            f"{_entry(first).where}: {kind} alone, no images; unpack or convert it "
            "(csv, npz, npy, parquet, zip, tar.gz, jpg, png)"
        )
    return DataError(f"{path}: holds no images; data/README.md lists the layouts")
