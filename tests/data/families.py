"""The same faces as people have them: every family of files that is read, made in code."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import layouts
import numpy as np
from layouts import FOLDERS, USAGE, pixel_text, put

from hw3lib.data.faces import CLASSES, Faces

ZH = ("生氣", "厭惡", "恐懼", "高興", "難過", "驚訝", "中立")
HOT = np.eye(7, dtype=int)


def table(
    file: Path, faces: Faces, *, header: str | None = "emotion,pixels,Usage", mark: str = ",",
    label: Callable[[int], str] = str, pixels: Callable[[np.ndarray], str] = pixel_text,
    end: str = "\n", encoding: str = "utf-8",
) -> Path:  # fmt: skip
    """A Kaggle table in any notation; the columns stand in the order of `header`."""
    lines = [] if header is None else [header.replace(",", mark)]
    for image, kind, split in zip(faces.images, faces.labels, faces.split, strict=True):
        lines.append(mark.join((label(kind), pixels(image), USAGE[split])))
    return put(file, (end.join(lines) + end).encode(encoding))


def kaggle(faces: Faces) -> bytes:
    rows = zip(faces.images, faces.labels, faces.split, strict=True)
    lines = [f"{label},{pixel_text(image)},{USAGE[split]}" for image, label, split in rows]
    return ("emotion,pixels,Usage\n" + "\n".join(lines)).encode()


def tar(members: dict[str, bytes], how: str = "gz") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{how}") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def zipped(members: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return out.getvalue()


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def image_folders(folder: Path, faces: Faces, kind: str, **options) -> Path:
    from PIL import Image

    for i, image in enumerate(faces.images):
        out = io.BytesIO()
        Image.fromarray(image).save(out, kind, **options)
        name = f"{faces.split[i]}/{FOLDERS[faces.labels[i]]}/{faces.ids[i]}.{kind.lower()}"
        put(folder / name, out.getvalue())
    return folder


def npy_pairs(folder: Path, faces: Faces, images: str, labels: str, **change) -> Path:
    """An array of images and one of labels for each split, `{}` in their names being the split."""
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        rows = faces.split == split
        np.save(folder / f"{images.format(split)}.npy", faces.images[rows])
        np.save(folder / f"{labels.format(split)}.npy", HOT[faces.labels[rows]])
    return folder


def hot_parquet(file: Path, faces: Faces) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [layouts.picture_bytes(image) for image in faces.images]
    columns = {"image": images, "label": HOT[faces.labels].tolist(),
               "usage": [USAGE[s] for s in faces.split]}  # fmt: skip
    file.parent.mkdir(parents=True)
    pq.write_table(pa.table(columns), file)
    return file


def listed(mark: str) -> Callable[[np.ndarray], str]:
    return lambda image: '"[' + mark.join(map(str, image.ravel())) + ']"'


def hot(label: int) -> str:
    return ",".join(map(str, HOT[label]))


FULL: dict[str, Callable[[Path, Faces], Path]] = {  # nothing of the faces is lost
    "kaggle-csv": lambda d, f: layouts.write_kaggle_csv(d / "fer2013.csv", f),
    "icml": lambda d, f: layouts.write_kaggle_csv(d / "icml_face_data.csv", f, blanks=True),
    "class-folders": layouts.write_class_folders,
    "numpy": lambda d, f: layouts.write_npz(d / "faces.npz", f),
    "parquet": lambda d, f: layouts.write_parquet(d / "faces.parquet", f),
    "no extension": lambda d, f: table(d / "fer2013", f),
    "text file": lambda d, f: table(d / "fer2013.txt", f),
    "semicolons": lambda d, f: table(d / "a.csv", f, mark=";"),
    "tabs, UTF-16": lambda d, f: table(d / "a.csv", f, mark="\t", encoding="utf-16"),
    "Windows": lambda d, f: table(d / "a.csv", f, end="\r\n", encoding="utf-8-sig"),
    "old Mac": lambda d, f: table(d / "a.csv", f, end="\r"),
    "no header": lambda d, f: table(d / "a.csv", f, header=None),
    "lists": lambda d, f: table(d / "a.csv", f, pixels=listed(", ")),
    "numpy's text": lambda d, f: table(d / "a.csv", f, pixels=listed("  ")),
    "quoted": lambda d, f: table(d / "a.csv", f, pixels=lambda i: f'"{pixel_text(i)}"'),
    "fractions": lambda d, f: table(
        d / "a.csv", f, pixels=lambda i: " ".join(f"{v:.6f}" for v in i.ravel() / 255)),
    "floats": lambda d, f: table(d / "a.csv", f, label="{}.0".format,
                                 pixels=lambda i: " ".join(f"{v}.0" for v in i.ravel())),
    "a column each": lambda d, f: table(
        d / "a.csv", f, header="label," + ",".join(f"pixel{i}" for i in range(2304)) + ",set",
        pixels=lambda i: pixel_text(i).replace(" ", ",")),
    "names": lambda d, f: table(d / "a.csv", f, label=lambda i: CLASSES[i].upper()),
    "one-hot columns": lambda d, f: table(
        d / "a.csv", f, header=",".join(FOLDERS) + ",pixels,Usage", label=hot),
    "one-hot text": lambda d, f: table(d / "a.csv", f, label=lambda i: str(HOT[i])),
    "Chinese, Big5": lambda d, f: table(
        d / "a.csv", f, header="情緒,像素,用途", label=lambda i: ZH[i], encoding="cp950"),
    "fer2013.tar.gz": lambda d, f: put(d / "fer2013.tar.gz", tar(
        {"fer2013/fer2013.csv": kaggle(f), "fer2013/README": b"notes", "fer2013/x.bib": b"@a"})),
    "tar.bz2": lambda d, f: put(d / "a.tar.bz2", tar({"fer2013.csv": kaggle(f)}, "bz2")),
    "tar of folders": lambda d, f: put(d / "a.tar", tar(
        files_of(layouts.write_class_folders(d / "x", f)), "")),
    "gz": lambda d, f: put(d / "fer2013.csv.gz", gzip.compress(kaggle(f))),
    "bz2": lambda d, f: put(d / "fer2013.csv.bz2", bz2.compress(kaggle(f))),
    "xz": lambda d, f: put(d / "fer2013.csv.xz", lzma.compress(kaggle(f))),
    "zip in a zip": lambda d, f: put(d / "a.zip", zipped({"b.zip": zipped({"c.csv": kaggle(f)})})),
    "tar.gz in a folder": lambda d, f: put(
        d / "in" / "fer2013.tar.gz", tar({"fer2013/fer2013.csv": kaggle(f)})).parent,
    "Kaggle's zip": lambda d, f: put(d / "kaggle.zip", zipped({
        "fer2013.tar.gz": tar({"fer2013/fer2013.csv": kaggle(f)}), "icml_face_data.csv": kaggle(f),
        "example_submission.csv": b"id,label\n1,2\n"})),
    "x, y": lambda d, f: npy_pairs(d / "n", f, "x_{}", "y_{}"),
    "xtrain": lambda d, f: npy_pairs(d / "n", f, "x{}", "y{}"),
    "trainX": lambda d, f: npy_pairs(d / "n", f, "{}X", "{}Y"),
    "fdataX": lambda d, f: npy_pairs(d / "n", f, "{}_fdataX", "{}_flabels"),
    "images, labels": lambda d, f: npy_pairs(d / "n", f, "{}-images", "{}-labels"),
    "foreign names": lambda d, f: npy_pairs(d / "n", f, "{}_a", "b_{}"),
    "one-hot npz": lambda d, f: layouts.write_npz(d / "a.npz", f, labels=HOT[f.labels]),
    "one-hot Parquet": lambda d, f: hot_parquet(d / "p" / "a.parquet", f),
    "WebP": lambda d, f: image_folders(d / "i", f, "WEBP", lossless=True),
    "GIF": lambda d, f: image_folders(d / "i", f, "GIF"),
    "BMP": lambda d, f: image_folders(d / "i", f, "BMP"),
}  # fmt: skip
