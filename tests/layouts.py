"""The same faces written in every layout that is read: the fixtures of the tests of data."""

from __future__ import annotations

import csv
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from hw3lib.data import load
from hw3lib.data.copies import exact_groups
from hw3lib.data.faces import CLASSES, UNLABELLED, DataError, Faces

USAGE = {"train": "Training", "test": "PublicTest", "private": "PrivateTest", "": ""}
FOLDERS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
FERPLUS = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
)


def small_faces(n: int = 42, seed: int = 0, votes: bool = False) -> Faces:
    """Random smooth pictures, two of them duplicates: quick, and not constant (JPEG keeps them)."""
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (n, 6, 6)).repeat(8, 1).repeat(8, 2).astype(np.uint8)
    images += rng.integers(0, 6, images.shape, dtype=np.uint8)
    images[1] = images[0]
    split = np.array(["test" if i % 7 == 6 else "train" for i in range(n)])
    return Faces(
        images=images,
        labels=rng.permutation(np.arange(n) % len(CLASSES)).astype(np.int64),
        ids=np.arange(n).astype(str),
        split=split,
        group=exact_groups(images),
        votes=rng.integers(0, 10, (n, 10)).astype(np.uint8) if votes else None,
        layout="fixture",
    )


def picture_bytes(image: np.ndarray, kind: str = "PNG", mode: str = "L") -> bytes:
    """One (H, W) uint8 picture as a JPEG or PNG file."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).convert(mode).save(
        out, kind, **({"quality": 95} if kind == "JPEG" else {})
    )
    return out.getvalue()


def pixel_text(image: np.ndarray) -> str:
    return " ".join(map(str, image.ravel().tolist()))


def write_csv(file: Path, rows: list[list], encoding: str = "utf-8") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("w", newline="", encoding=encoding) as stream:
        csv.writer(stream, lineterminator="\n").writerows(rows)
    return file


def write_course_csv(folder: Path, faces: Faces) -> Path:
    """Spring edition: train.csv `label,feature`; test.csv `id,feature` holds the test rows."""
    train, test = _rows(faces, "train"), _rows(faces, "test")
    write_csv(
        folder / "train.csv",
        [["label", "feature"], *([faces.labels[i], pixel_text(faces.images[i])] for i in train)],
    )
    write_csv(
        folder / "test.csv",
        [["id", "feature"], *([faces.ids[i], pixel_text(faces.images[i])] for i in test)],
    )
    return folder


def write_course_pictures(folder: Path, faces: Faces, kind: str = "PNG") -> Path:
    """Fall edition: train/00000.jpg with train.csv `id,label`, test/0000.jpg without labels.

    The table is written in another order than the folder is.
    """
    suffix = {"PNG": ".png", "JPEG": ".jpg"}[kind]
    rows = []
    for name, digits in (("train", 5), ("test", 4)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for i in _rows(faces, name):
            stem = faces.ids[i].zfill(digits)
            (folder / name / (stem + suffix)).write_bytes(picture_bytes(faces.images[i], kind))
            if name == "train":
                rows.append([stem, faces.labels[i]])
    write_csv(folder / "train.csv", [["id", "label"], *rows[::-1]])
    return folder


def write_kaggle_csv(file: Path, faces: Faces, blanks: bool = False, votes: bool = False) -> Path:
    """fer2013.csv, or icml_face_data.csv with its order of columns and leading blanks."""
    header = ["emotion", " Usage", " pixels"] if blanks else ["emotion", "pixels", "Usage"]
    rows = [header]
    for i in range(len(faces)):
        text, usage = pixel_text(faces.images[i]), USAGE[faces.split[i]]
        rows.append([faces.labels[i], *((usage, text) if blanks else (text, usage))])
    if votes:
        table = [
            [USAGE[faces.split[i]], f"fer{i:07d}.png", *faces.votes[i]] for i in range(len(faces))
        ]
        write_csv(file.parent / "fer2013new.csv", [["Usage", "Image name", *FERPLUS], *table])
    return write_csv(file, rows)


def write_class_folders(folder: Path, faces: Faces, kind: str = "PNG") -> Path:
    """train/angry/Training_12.png and so on."""
    suffix = {"PNG": ".png", "JPEG": ".jpg"}[kind]
    for i in range(len(faces)):
        home = folder / str(faces.split[i]) / FOLDERS[faces.labels[i]]
        home.mkdir(parents=True, exist_ok=True)
        name = f"{USAGE[faces.split[i]]}_{faces.ids[i]}{suffix}"
        (home / name).write_bytes(picture_bytes(faces.images[i], kind))
    return folder


def write_npz(file: Path, faces: Faces, **extra: np.ndarray) -> Path:
    """`images`, `labels`, `ids`, `classes` and `split`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {
        "images": faces.images,
        "labels": faces.labels,
        "ids": faces.ids,
        "classes": np.array(CLASSES),
        "split": faces.split,
    }
    np.savez(file, **{**arrays, **extra})
    return file


def write_npy(folder: Path, faces: Faces) -> Path:
    """x_train.npy with y_train.npy, x_test.npy with y_test.npy."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("train", "test"):
        rows = _rows(faces, name)
        np.save(folder / f"x_{name}.npy", faces.images[rows])
        np.save(folder / f"y_{name}.npy", faces.labels[rows])
    return folder


def write_parquet(file: Path, faces: Faces, kind: str = "PNG", paths: bool = True) -> Path:
    """The Hugging Face form: image: {bytes, path}, label, usage, and votes where known."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    file.parent.mkdir(parents=True, exist_ok=True)
    pictures = [
        {
            "bytes": picture_bytes(faces.images[i], kind),
            "path": f"{faces.ids[i]}.png" if paths else None,
        }
        for i in range(len(faces))
    ]
    columns = {
        "image": pa.array(pictures, pa.struct({"bytes": pa.binary(), "path": pa.string()})),
        "label": pa.array(faces.labels, pa.int64()),
        "usage": [USAGE[s] for s in faces.split],
    }
    if faces.votes is not None:
        columns["votes"] = pa.array(faces.votes.tolist(), pa.list_(pa.int8()))
    pq.write_table(pa.table(columns), file)
    return file


def write_zip(file: Path, source: Path, under: str = "") -> Path:
    """The file or folder `source` as the zip it would be downloaded as."""
    file.parent.mkdir(parents=True, exist_ok=True)
    inside = [source] if source.is_file() else sorted(p for p in source.rglob("*") if p.is_file())
    base = source.parent if source.is_file() else source
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in inside:
            archive.write(path, under + path.relative_to(base).as_posix())
    return file


def write_layouts(folder: Path, faces: Faces) -> dict[str, Path]:
    """The same faces in all six families, losslessly; labels of test rows are lost in two."""
    return {
        "course-csv": write_course_csv(folder / "spring", faces),
        "course-pictures": write_course_pictures(folder / "fall", faces),
        "kaggle-csv": write_kaggle_csv(folder / "kaggle" / "fer2013.csv", faces),
        "class-folders": write_class_folders(folder / "folders", faces),
        "numpy": write_npz(folder / "faces.npz", faces),
        "parquet": write_parquet(folder / "faces.parquet", faces),
    }


def _rows(faces: Faces, split: str) -> np.ndarray:
    return np.flatnonzero(faces.split == split)


def labelled(faces: Faces) -> Faces:
    """The pictures that have a label."""
    return faces.subset(faces.labels != UNLABELLED)


def put(file: Path, data: bytes = b"") -> Path:
    """A file with these bytes, its folders made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def refuse(path: Path, *words: str) -> None:
    """Load what must be refused: the message is one line with every given word, no cache is left.

    HW3_CACHE must name an empty folder.
    """
    with pytest.raises(DataError) as caught:
        load(path)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 500
    for word in words:
        assert word in line, line
    cache = Path(os.environ["HW3_CACHE"])
    assert not cache.exists() or not list(cache.iterdir())
