"""Faces from any layout: `load(path)` finds out how the pictures lie and reads them."""

from __future__ import annotations

from pathlib import Path

from hw3lib.data.faces import DataError, Faces

FOLDER = Path(__file__).resolve().parents[2] / "data"  # where users put their pictures


def load(path: str | Path = "", *, synthetic: int = 4000) -> Faces:
    """Read the pictures at `path`, a file, folder or zip in any layout.

    Parameters
    ----------
    path : "" takes the repository's data/ folder where it holds pictures, else the synthetic
        faces; "synthetic" or "synthetic:N" asks for those
    synthetic : how many synthetic faces, where they are taken

    Returns
    -------
    Faces, memory-mapped from the cache where it could be written (see hw3lib.data.cache).

    Raises
    ------
    DataError
        one line that names the file, the row and the mend, for anything that cannot be read.
    """
    text = str(path)
    if text == "synthetic" or text.startswith("synthetic:"):
        return _synthetic(text.partition(":")[2] or synthetic)
    if text:
        return load_path(Path(text).expanduser())
    if holds_pictures(FOLDER):
        return load_path(FOLDER)
    return _synthetic(synthetic)


def load_path(path: Path) -> Faces:
    """The Faces at `path`: from the cache if it is still true, else read now and kept.

    Raises
    ------
    DataError
        as `load` does.
    """
    from hw3lib.data import cache
    from hw3lib.data.detect import read_source
    from hw3lib.data.source import Source, list_files

    try:
        files = list_files(path)
        if (faces := cache.load_cached(path, files)) is not None:
            return faces
        stamped, keyed = cache.stamp(path, files), cache.content(path, files)
        with Source(path, files) as source:
            faces = read_source(source)
        unchanged = stamped == cache.stamp(path, list_files(path))
        if unchanged and cache.save(path, faces, stamped, keyed):
            return cache.load_cached(path, files) or faces
        return faces
    except OSError as error:  # no permission, a drive that went away
        place = error.filename or path
        raise DataError(f"{place}: cannot be read ({error.strerror or error})") from None


def holds_pictures(folder: Path) -> bool:
    """Whether anything that could be a data set lies in the folder."""
    from hw3lib.data.source import list_files

    return folder.is_dir() and bool(list_files(folder))


def _synthetic(n: str | int) -> Faces:
    """Synthetic faces, kept like any data set: what they are made from is the code that draws."""
    from hw3lib.data import cache
    from hw3lib.data.synthetic import synthetic_faces

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
