"""Faces from any layout: `load(path)` finds out how the images lie and reads them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from hw3lib.data import arrays, cache, images, parquet, tables
from hw3lib.data.faces import DataError, Faces
from hw3lib.data.labels import Rows, assemble
from hw3lib.data.source import ARCHIVES, Entry, Place, door, entry_of, list_files, members, natural
from hw3lib.data.synthetic import synthetic_faces
from hw3lib.data.tables import Table, open_table

FOLDER = Path(__file__).resolve().parents[2] / "data"  # where users put their images
OURS = ("README.md", "pretrained")  # what lies there already
FERPLUS = "fer2013new.csv"  # the name that the FER+ authors gave their votes
DEPTH = 3  # archives in archives
Found = tuple[str, str, Callable[[], Rows]]  # layout, an example of its files, how to read it


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
    if text == "synthetic" or text.startswith("synthetic:"):
        return _synthetic(text.partition(":")[2] or synthetic)
    if text:
        return load_path(Path(text).expanduser())
    if holds_images(FOLDER):
        return load_path(FOLDER)
    return _synthetic(synthetic)


def load_path(path: Path) -> Faces:
    """The Faces at `path`: from the cache if it is still true, else read now and kept.

    Raises
    ------
    DataError
        as `load` does.
    """
    with door(Place(str(path))):
        files = files_of(path)
        if (faces := cache.load_cached(path, files)) is not None:
            return faces
        stamped, keyed = cache.stamp(path, files), cache.content(path, files)
        faces = read_faces(path, files)
        unchanged = stamped == cache.stamp(path, files_of(path))
        if unchanged and cache.save(path, faces, stamped, keyed):
            return cache.load_cached(path, files) or faces
        return faces


def holds_images(folder: Path) -> bool:
    """Whether anything that could be a data set lies in the folder."""
    return folder.is_dir() and bool(files_of(folder))


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
        beside = sorted(path.parent.glob("*.npy"))
        names = [(file, *arrays.parse_name(file.stem)) for file in beside]
        return files + [f for f, r, other in names if f != path and other == rest and r != role]
    return files


def read_faces(path: Path, files: list[Path] | None = None) -> Faces:
    """Find the one layout at `path` and read it now, past the cache.

    Raises
    ------
    DataError
        where there is no layout, more than one, or anything in it that cannot be read.
    """
    place = Place(str(path))
    with door(place), contextlib.ExitStack() as stack:
        base = path if path.is_dir() else path.parent
        entries = [entry_of(file, base, place) for file in files or files_of(path)]
        return _Reading(path, stack).read(entries)


class _Reading:
    """One reading of a path: what is found, and what is left unused and why."""

    def __init__(self, path: Path, stack: contextlib.ExitStack) -> None:
        self.path, self.stack = path, stack
        self.root = path.stem if path.is_file() else path.name
        self.unused: dict[str, list[str]] = {}  # why -> files
        self.tables: dict[str, Table] = {}

    def read(self, entries: list[Entry]) -> Faces:
        entries = sorted(self.opened(entries), key=lambda entry: natural(entry.name))
        found = list(self.layouts(entries))
        if not found:
            raise self.nothing(entries)
        if len(found) > 1:
            raise DataError(
                f"{self.path}: holds several data sets ({found[0][1]} and {found[1][1]}); "
                "give the path of one, or move the other away"
            )
        layout, _, reader = found[0]
        rows = reader()
        for table in self.tables.values():
            used = ("labels",) if layout == "course-pictures" else ("pixels", "votes")
            if table.kind not in used:
                what = "no faces" if table.kind == "other" else table.kind
                self.leave(table.entry.where, f"it holds {what}")
        for entry in entries:
            if entry.kind not in ("image", "npy", "parquet", "table"):
                self.leave(entry.where, f"a {entry.kind}")
        return assemble(rows, layout, str(self.path), [*self.told()])

    def leave(self, where: str, why: str) -> None:
        self.unused.setdefault(why, []).append(where)

    def told(self) -> Iterator[str]:
        """A line for each reason why files were not used."""
        for why, files in self.unused.items():
            more = f" and {len(files) - 1} more" if len(files) > 1 else ""
            yield f"{files[0]}{more} not used: {why}"

    def opened(self, entries: list[Entry], depth: int = 0) -> Iterator[Entry]:
        """The entries, with the members of archives in their place.

        Archives beside images are left alone: they usually lie beside what was unpacked from them.
        """
        packed = [entry for entry in entries if entry.kind in ARCHIVES]
        beside = packed and any(map(self.holds_faces, entries))
        for entry in entries:
            if entry.kind == "npz":
                inside = members(entry, entry.name + "/", self.stack)
                if any(member.kind != "npy" for member in inside):
                    raise DataError(f"{entry.where}: holds something else than NumPy arrays")
                yield from inside
            elif entry.kind not in ARCHIVES:
                yield entry
            elif beside or depth == DEPTH:
                self.leave(entry.where, "images lie beside it" if beside else "too deep")
            else:
                whole = entry.where == str(self.path)
                prefix = "" if whole else str(Path(entry.name).with_suffix("")) + "/"
                yield from self.opened(members(entry, prefix, self.stack), depth + 1)

    def holds_faces(self, entry: Entry) -> bool:
        if entry.kind == "table":
            return self.table(entry).kind == "pixels"
        return entry.kind in ("image", "npy", "npz", "parquet")

    def table(self, entry: Entry) -> Table:
        if entry.where not in self.tables:
            self.tables[entry.where] = open_table(entry)
        return self.tables[entry.where]

    def of_kind(self, kind: str) -> list[Table]:
        return [table for table in self.tables.values() if table.kind == kind]

    def layouts(self, entries: list[Entry]) -> Iterator[Found]:
        """Every layout that is there."""
        kinds: dict[str, list[Entry]] = {}
        for entry in entries:
            kinds.setdefault(entry.kind, []).append(entry)
        self.tables = {e.where: self.table(e) for e in kinds.get("table", [])}
        if found := kinds.get("parquet"):
            yield "parquet", found[0].where, lambda: parquet.read(found, self.root)
        if npy := kinds.get("npy"):
            yield "numpy", npy[0].where, lambda: arrays.read(npy, self.root, self.leave)
        if texts := self.of_kind("pixels"):
            yield (
                tables.layout_of(texts), texts[0].entry.where,
                lambda: tables.read(texts, self.of_kind("votes"), self.root),
            )  # fmt: skip
        if files := kinds.get("image"):
            yield self.of_images(files)

    def of_images(self, files: list[Entry]) -> Found:
        where, labels = files[0].where, self.of_kind("labels")
        if labels and not any(images.class_at(e.folder) is not None for e in files):
            reader = lambda: tables.read_labelled(files, labels, self.root)  # noqa: E731
            return "course-pictures", where, reader
        layout = "class-folders" if images.has_classes(files) else "pictures"
        return layout, where, lambda: images.read(files, self.root)

    def nothing(self, entries: list[Entry]) -> DataError:
        if labels := self.of_kind("labels"):
            return DataError(
                f"{labels[0].entry.where}: labels without images; give the folder that holds both"
            )
        named = [t for t in self.tables.values() if len(t.columns) > 1] or [*self.tables.values()]
        if named:
            columns = ", ".join(named[0].columns)[:80]
            return DataError(
                f"{named[0].entry.where}: the columns are {columns!r}; a table of faces has "
                "label,feature or emotion,pixels,Usage or id,feature"
            )
        if entries:
            return DataError(
                f"{entries[0].where}: a {entries[0].kind}, which is not read; unpack or convert it "
                "(csv, npz, npy, parquet, zip, tar.gz, jpg, png)"
            )
        return DataError(f"{self.path}: holds no images; data/README.md lists the layouts")


def _synthetic(n: str | int) -> Faces:
    """Synthetic faces, kept like any data set: what they are made from is the code that draws."""
    try:
        count = int(n)
    except ValueError:
        count = 0
    if count < 1:
        raise DataError(f"synthetic:{n}: give a number of faces, such as synthetic:4000")
    code = Path(__file__).with_name(f"synthetic-{count}")  # names the cache alone
    files = sorted(code.parent.glob("*.py"))
    if (faces := cache.load_cached(code, files)) is not None:
        return faces
    faces = synthetic_faces(count)
    cache.save(code, faces, cache.stamp(code, files), cache.content(code, files))
    return faces
