"""Which layout lies in a Source: found by looking at names and headers, never by a flag."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from hw3lib.data.faces import DataError, Faces
from hw3lib.data.readers import arrays, folders, labelled, parquet, pixels
from hw3lib.data.rows import Rows, assemble
from hw3lib.data.source import KNOWN, PICTURES, Entry, Source
from hw3lib.data.table import Table, open_table

Found = tuple[str, str, Callable[[], Rows]]  # layout, an example of its files, how to read it


def read_source(source: Source) -> Faces:
    """Find the one layout, read it, and make Faces of it.

    Raises
    ------
    DataError
        where there is no layout, or more than one.
    """
    tables = [open_table(e) for e in source.entries if e.suffix == ".csv"]
    found = [*_packed(source), *_text(source, tables), *_pictures(source, tables)]
    if not found:
        raise _nothing(source, tables)
    if len(found) > 1:
        raise DataError(
            f"{source.path}: holds several data sets ({found[0][1]} and {found[1][1]}); "
            "give the path of one, or move the other away"
        )
    layout, _, reader = found[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's size warning: our own limit is stricter
        rows = reader()
    return assemble(rows, layout, str(source.path), [*source.problems, *_unread(tables, layout)])


def _packed(source: Source) -> list[Found]:
    kinds = ((parquet, (".parquet",)), (arrays, (".npz", ".npy")))
    found: list[Found] = []
    for module, suffixes in kinds:
        if entries := [e for e in source.entries if e.suffix in suffixes]:
            found.append(
                (
                    module.LAYOUT,
                    entries[0].where,
                    lambda module=module, entries=entries: module.read(source, entries),
                )
            )
    return found


def _text(source: Source, tables: list[Table]) -> list[Found]:
    texts, votes = _of(tables, "pixels"), _of(tables, "votes")
    if not texts:
        return []
    layout = pixels.layout_of(texts)
    return [(layout, texts[0].entry.where, lambda: pixels.read(source, texts, votes))]


def _pictures(source: Source, tables: list[Table]) -> list[Found]:
    pictures: list[Entry] = [e for e in source.entries if e.suffix in PICTURES]
    if not pictures:
        return []
    where, labels = pictures[0].where, _of(tables, "labels")
    if any(folders.class_of(e) is not None for e in pictures) or not labels:
        layout = "class-folders" if folders.has_classes(pictures) else "pictures"
        return [(layout, where, lambda: folders.read(source, pictures))]
    return [(labelled.LAYOUT, where, lambda: labelled.read(source, pictures, labels))]


def _of(tables: list[Table], kind: str) -> list[Table]:
    return [table for table in tables if table.kind == kind]


def _unread(tables: list[Table], layout: str) -> list[str]:
    read = {"labels"} if layout == labelled.LAYOUT else {"pixels", "votes"}
    return [
        f"{t.entry.where} not read: it holds {'no pictures' if t.kind == 'other' else t.kind}"
        for t in tables
        if t.kind not in read
    ]


def _nothing(source: Source, tables: list[Table]) -> DataError:
    if labels := _of(tables, "labels"):
        return DataError(
            f"{labels[0].entry.where}: labels without pictures; give the folder that holds both"
        )
    if tables:
        columns = ", ".join(tables[0].columns)[:80]
        return DataError(
            f"{tables[0].entry.where}: the columns are {columns!r}; a table of pictures has "
            "label,feature or emotion,pixels,Usage or id,feature"
        )
    if source.path.is_file() and source.path.suffix.casefold() not in KNOWN:
        return DataError(
            f"{source.path}: not a kind of file that is read (csv, npz, npy, parquet, zip, jpg, "
            "png); unpack or convert it"
        )
    return DataError(f"{source.path}: holds no pictures; data/README.md lists the layouts")
