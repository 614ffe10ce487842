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

import numpy as np

from hw3lib.data.faces import CLASSES, Faces, exact_groups

USAGE = {"train": "Training", "test": "PublicTest", "private": "PrivateTest", "": ""}
FOLDERS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
ZH = ("生氣", "厭惡", "恐懼", "高興", "難過", "驚訝", "中立")
FERPLUS = (
    *("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    *("unknown", "NF"),
)
HOT = np.eye(7, dtype=int)


def small_faces(n: int = 42, votes: bool = False) -> Faces:
    """Random smooth images, two of them duplicates: quick, and not constant (JPEG keeps them)."""
    rng = np.random.default_rng(0)
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


def put(file: Path, data: bytes = b"") -> Path:
    """A file with these bytes, its folders made."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def picture_bytes(image: np.ndarray, kind: str = "PNG", **options) -> bytes:
    """One (H, W) uint8 image as a file."""
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(image).save(out, kind, **({"quality": 95} if kind == "JPEG" else options))
    return out.getvalue()


def array(values: np.ndarray, **options) -> bytes:
    """A .npy file."""
    out = io.BytesIO()
    np.save(out, values, **options)
    return out.getvalue()


# tables


def pixel_text(image: np.ndarray) -> str:
    return " ".join(map(str, image.ravel().tolist()))


def listed(mark: str) -> Callable[[np.ndarray], str]:
    return lambda image: '"[' + mark.join(map(str, image.ravel())) + ']"'


def kaggle(
    faces: Faces, *, header: str | None = "emotion,pixels,Usage", mark: str = ",",
    label: Callable[[int], str] = str, pixels: Callable[[np.ndarray], str] = pixel_text,
    end: str = "\n", encoding: str = "utf-8",
) -> bytes:  # fmt: skip
    """A Kaggle table in any notation; the columns stand in the order of `header`."""
    lines = [] if header is None else [header.replace(",", mark)]
    for image, kind, split in zip(faces.images, faces.labels, faces.split, strict=True):
        lines.append(mark.join((label(kind), pixels(image), USAGE[split])))
    return (end.join(lines) + end).encode(encoding)


def table(file: Path, faces: Faces, **notation) -> Path:
    return put(file, kaggle(faces, **notation))


def ferplus(faces: Faces) -> str:
    """The votes as fer2013new.csv, whose numbers of images are not those of the rows."""
    rows = enumerate(zip(faces.split, faces.votes, strict=True))
    lines = [",".join([USAGE[s], f"f{2 * i}.png", *map(str, v)]) for i, (s, v) in rows]
    return "\n".join(["Usage,Image name," + ",".join(FERPLUS), *lines])


def write_with_votes(file: Path, faces: Faces) -> Path:
    put(file.parent / "fer2013new.csv", ferplus(faces).encode())
    return table(file, faces)


def write_course_csv(folder: Path, faces: Faces) -> Path:
    """Spring edition: train.csv `label,feature`; test.csv `id,feature` holds the test rows."""
    for split, column in (("train", "labels"), ("test", "ids")):
        some = faces.subset(faces.split == split)
        rows = zip(getattr(some, column), some.images, strict=True)
        lines = [f"{name},{pixel_text(image)}" for name, image in rows]
        put(folder / f"{split}.csv", "\n".join([f"{column[:-1]},feature", *lines]).encode())
    return folder


def write_torchvision(folder: Path, faces: Faces) -> Path:
    """train.csv `emotion,pixels` and test.csv `pixels`, as torchvision's FER2013 reads them."""
    train, test = (faces.subset(faces.split == name) for name in ("train", "test"))
    rows = [f"{k},{pixel_text(i)}" for k, i in zip(train.labels, train.images, strict=True)]
    put(folder / "train.csv", "\n".join(["emotion,pixels", *rows]).encode())
    put(folder / "test.csv", "\n".join(["pixels", *map(pixel_text, test.images)]).encode())
    return folder


# image files


def write_course_pictures(folder: Path, faces: Faces, kind: str = "PNG") -> Path:
    """Fall edition: train/00000.jpg with train.csv `id,label`, test/0000.jpg without labels.

    The table is in another order than the folder, and a spreadsheet made numbers of some ids.
    """
    rows = []
    for name, digits in (("train", 5), ("test", 4)):
        for i in np.flatnonzero(faces.split == name):
            stem = faces.ids[i].zfill(digits)
            put(folder / name / f"{stem}.{kind.lower()}", picture_bytes(faces.images[i], kind))
            told = stem if i % 2 else faces.ids[i]
            rows += [f"{told},{faces.labels[i]}"] if name == "train" else []
    put(folder / "train.csv", "\n".join(["id,label", *rows[::-1]]).encode())
    return folder


def write_class_folders(folder: Path, faces: Faces, kind: str = "PNG", **options) -> Path:
    """train/angry/Training_12.png and so on."""
    for i, image in enumerate(faces.images):
        home = folder / str(faces.split[i]) / FOLDERS[faces.labels[i]]
        name = f"{USAGE[faces.split[i]]}_{faces.ids[i]}.{kind.lower()}"
        put(home / name, picture_bytes(image, kind, **options))
    return folder


# arrays and Parquet


def write_npz(file: Path, faces: Faces, **extra: np.ndarray) -> Path:
    """`images`, `labels`, `ids`, `classes` and `split`."""
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: getattr(faces, name) for name in ("images", "labels", "ids", "split")}
    np.savez(file, **{**arrays, "classes": np.array(CLASSES), **extra})
    return file


def npy_pairs(folder: Path, faces: Faces, images: str, labels: str) -> Path:
    """An array of images and one of labels for each split, `{}` in their names being the split."""
    for split in ("train", "test"):
        rows = faces.split == split
        put(folder / f"{images.format(split)}.npy", array(faces.images[rows]))
        put(folder / f"{labels.format(split)}.npy", array(HOT[faces.labels[rows]]))
    return folder


def write_parquet(file: Path, faces: Faces, paths: bool = True, hot: bool = False) -> Path:
    """The Hugging Face form: image: {bytes, path}, label, usage, and votes where known."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    images = [{"bytes": picture_bytes(image), "path": f"{name}.png" if paths else None}
              for image, name in zip(faces.images, faces.ids, strict=True)]  # fmt: skip
    columns = {
        "image": images,
        "label": HOT[faces.labels].tolist() if hot else faces.labels,
        "usage": [USAGE[split] for split in faces.split],
        **({} if faces.votes is None else {"votes": faces.votes.tolist()}),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), file)
    return file


# archives


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


def files_of(path: Path, under: str = "") -> dict[str, bytes]:
    """What an archive of the file or folder holds."""
    inside = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    base = path.parent if path.is_file() else path
    return {under + file.relative_to(base).as_posix(): file.read_bytes() for file in inside}


Write = Callable[[Path, Faces], Path]
FULL: dict[str, Write] = {  # nothing of the faces is lost
    "kaggle-csv": lambda d, f: table(d / "fer2013.csv", f),
    "icml": lambda d, f: table(d / "icml_face_data.csv", f, header="emotion, pixels, Usage"),
    "class-folders": write_class_folders,
    "numpy": lambda d, f: write_npz(d / "faces.npz", f),
    "parquet": lambda d, f: write_parquet(d / "faces.parquet", f),
    "no extension": lambda d, f: table(d / "fer2013", f),
    "text file": lambda d, f: table(d / "fer2013.txt", f),
    "semicolons": lambda d, f: table(d / "a.csv", f, mark=";"),
    "tabs, UTF-16": lambda d, f: table(d / "a.csv", f, mark="\t", encoding="utf-16"),
    "Windows": lambda d, f: table(d / "a.csv", f, end="\r\n", encoding="utf-8-sig"),
    "old Mac": lambda d, f: table(d / "a.csv", f, end="\r"),
    "no header": lambda d, f: table(d / "a.csv", f, header=None),
    "an image column": lambda d, f: table(d / "a.csv", f, header="label,image,split"),
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
        d / "a.csv", f, header=",".join(FOLDERS) + ",pixels,Usage",
        label=lambda i: ",".join(map(str, HOT[i]))),
    "one-hot text": lambda d, f: table(d / "a.csv", f, label=lambda i: str(HOT[i])),
    "Chinese, Big5": lambda d, f: table(
        d / "a.csv", f, header="情緒,像素,用途", label=lambda i: ZH[i], encoding="cp950"),
    "fer2013.tar.gz": lambda d, f: put(d / "fer2013.tar.gz", tar(
        {"fer2013/fer2013.csv": kaggle(f), "fer2013/README": b"notes", "fer2013/x.bib": b"@a"})),
    "tar.bz2": lambda d, f: put(d / "a.tar.bz2", tar({"fer2013.csv": kaggle(f)}, "bz2")),
    "tar of folders": lambda d, f: put(d / "a.tar", tar(
        files_of(write_class_folders(d / "x", f)), "")),
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
    "classes in the alphabet's order": lambda d, f: write_npz(
        d / "a.npz", f, classes=np.sort(CLASSES), labels=np.argsort(np.argsort(CLASSES))[f.labels]),
    "one-hot npz": lambda d, f: write_npz(d / "a.npz", f, labels=HOT[f.labels]),
    "floats to 1": lambda d, f: write_npz(d / "a.npz", f, images=f.images.astype("f4") / 255),
    "floats to 255": lambda d, f: write_npz(d / "a.npz", f, images=f.images.astype("f8")),
    "flat": lambda d, f: write_npz(d / "a.npz", f, images=f.images.reshape(-1, 2304)),
    "a last axis": lambda d, f: write_npz(d / "a.npz", f, images=f.images[..., None]),
    "a channel": lambda d, f: write_npz(d / "a.npz", f, images=f.images[:, None].astype("i8")),
    "three channels": lambda d, f: write_npz(
        d / "a.npz", f, images=f.images[..., None].repeat(3, -1)),
    "one-hot Parquet": lambda d, f: write_parquet(d / "p" / "a.parquet", f, hot=True),
    "WebP": lambda d, f: write_class_folders(d / "i", f, "WEBP", lossless=True),
    "GIF": lambda d, f: write_class_folders(d / "i", f, "GIF"),
    "BMP": lambda d, f: write_class_folders(d / "i", f, "BMP"),
}  # fmt: skip
EVERY: dict[str, Write] = {  # in these, labels of test images are not told
    **FULL,
    "torchvision": write_torchvision,
    "course-csv": lambda d, f: write_course_csv(d / "spring", f),
    "course-pictures": lambda d, f: write_course_pictures(d / "fall", f),
}
