"""Every family of files gives the same Faces, and nothing is lost unsaid."""

from __future__ import annotations

import io
import shutil
import zipfile

import layouts
import numpy as np
import pytest
from layouts import EVERY, FULL, files_of, kaggle, npy_pairs, put, tar, zipped

import hw3lib.data
from hw3lib.data import load
from hw3lib.data.faces import SIZE, UNLABELLED, DataError
from hw3lib.data.labels import class_index, majority

WITH_IDS = ("kaggle-csv", "icml", "tar.bz2", "xz", "numpy", "parquet", "class-folders",
            "course-pictures", "WebP", "GIF", "BMP", "tar of folders")  # fmt: skip


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def small():
    return layouts.small_faces(votes=True)


def by_pixels(faces):
    """Image bytes -> sorted (label, split) of every row that shows it."""
    found: dict[bytes, list] = {}
    for image, label, split in zip(faces.images, faces.labels, faces.split, strict=True):
        found.setdefault(image.tobytes(), []).append((int(label), str(split)))
    return {key: sorted(value) for key, value in found.items()}


@pytest.mark.parametrize("name", EVERY)
def test_every_family_holds_the_same_faces(name, tmp_path, small):
    """The same images, labels and splits, id by id; so the same predictions."""
    read = load(EVERY[name](tmp_path / "d", small))
    assert sorted(map(bytes, read.images)) == sorted(map(bytes, small.images))
    if name in WITH_IDS:
        rows = [int(key.split("_")[-1]) for key in read.ids]
        assert (read.images == small.images[rows]).all()
    if name in FULL:
        assert read.fingerprint == small.fingerprint and by_pixels(read) == by_pixels(small)
        assert read.layout in ("kaggle-csv", "class-folders", "numpy", "parquet")
        assert all("not used" in line for line in read.problems)


@pytest.mark.parametrize("name", ["kaggle-csv", "class-folders", "numpy", "parquet",
                                  "torchvision", "course-csv", "course-pictures"])  # fmt: skip
def test_zipped_it_is_the_same(name, tmp_path, small):
    path = EVERY[name](tmp_path / "d", small)
    whole = load(path)
    read = load(put(tmp_path / "z" / "a.zip", zipped(files_of(path, under="archive/"))))
    assert (read.layout, read.fingerprint) == (whole.layout, whole.fingerprint)
    assert read.ids.tolist() == whole.ids.tolist() and not read.problems
    assert sorted(read.split) == sorted(small.split)
    one, other = (faces.subset(faces.split == "train") for faces in (read, small))
    assert one.fingerprint == other.fingerprint


@pytest.mark.parametrize("write", [layouts.write_course_pictures, layouts.write_class_folders])
def test_jpeg_keeps_ids_and_labels(tmp_path, small, write):
    lossless = load(write(tmp_path / "png", small))
    lossy = load(write(tmp_path / "j", small, "JPEG"))
    assert lossy.ids.tolist() == lossless.ids.tolist()
    assert lossy.labels.tolist() == lossless.labels.tolist()
    difference = np.abs(lossy.images.astype(int) - lossless.images)
    assert 0 < difference.mean() < 4


# tables


def test_ferplus_votes_join_by_row(tmp_path, small):
    file = layouts.write_with_votes(tmp_path / "fer2013.csv", small)
    for path in (file, tmp_path):
        assert (load(path).votes == small.votes).all()


def test_ferplus_folders(tmp_path, small):
    """As the authors' script writes them: no header, and Valid is PublicTest."""
    names = {"train": "FER2013Train", "test": "FER2013Valid"}
    for split, folder in names.items():
        lines = []
        for i in np.flatnonzero(small.split == split):
            name = f"fer{i:07d}.png"
            put(tmp_path / folder / name, layouts.picture_bytes(small.images[i]))
            lines.append(f'{name},"(0, 0, 48, 48)",' + ",".join(map(str, small.votes[i])))
        put(tmp_path / folder / "label.csv", "\n".join(lines).encode())
    put(tmp_path / "FER2013Test" / "label.csv", b"")
    read = load(tmp_path)
    rows = np.array([int(name[3:]) for name in read.ids])
    assert (read.images == small.images[rows]).all() and (read.votes == small.votes[rows]).all()
    assert (read.split == small.split[rows]).all()
    assert (read.labels == majority(small.votes[rows])).all()


# names of classes and splits


@pytest.mark.parametrize(
    ("word", "index"),
    [("happiness", 3), ("Anger", 0), ("surprised", 5), ("5_surprise", 5), ("6", 6), ("6.0", 6),
     ("高興", 3), ("[0 0 0 0 1 0 0]", 4), ("0,0,0,0,0,0,1.0", 6), ("contempt", None), ("7", None),
     ("0 0 0 0 1 1 0", None), ("-1", None), ("2.5", None), ("", None)],
)  # fmt: skip
def test_names_of_classes(word, index):
    assert class_index(word) == index


def test_kaggle_prefix_tells_the_split(tmp_path, small):
    prefixes = {"Training": "train", "PublicTest": "test", "PrivateTest": "private", "x": "test"}
    for i, prefix in enumerate(prefixes):
        put(tmp_path / "test" / "sad" / f"{prefix}_{i}.png", layouts.picture_bytes(small.images[i]))
    read = load(tmp_path)
    for name, split in zip(read.ids.tolist(), read.split.tolist(), strict=True):
        assert split == prefixes[name.split("_")[0]]


def test_validation_folder_becomes_test_only_where_there_is_none(tmp_path, small):
    for split in ("train", "validation"):
        image = layouts.picture_bytes(small.images[len(split)])
        put(tmp_path / split / "sad" / f"{split}.png", image)
    assert sorted(load(tmp_path).split) == ["test", "train"]
    shutil.copytree(tmp_path / "validation", tmp_path / "test")
    (tmp_path / "test" / "sad" / "validation.png").rename(tmp_path / "test" / "sad" / "t.png")
    read = load(tmp_path)
    assert sorted(read.split) == ["test", "train", "train"]
    assert "validation" in read.problems[0]


# image files


def test_course_test_folder_is_unlabelled_and_in_natural_order(tmp_path, small):
    for i in (10, 9, 2, 100):
        image = layouts.picture_bytes(small.images[i % 42], "JPEG")
        put(tmp_path / "test_pictures" / f"{i}.jpg", image)
    read = load(tmp_path / "test_pictures")
    assert read.layout == "pictures" and read.ids.tolist() == ["2", "9", "10", "100"]
    assert (read.labels == UNLABELLED).all()
    alone = (tmp_path / "test_pictures").rename(tmp_path / "test")
    assert set(read.split) == {""} and set(load(alone).split) == {"test"}


def test_one_name_in_several_classes(tmp_path, small):
    for i, name in enumerate(("angry", "sad")):
        put(tmp_path / name / "1.png", layouts.picture_bytes(small.images[i]))
    assert load(tmp_path).ids.tolist() == ["angry/1", "sad/1"]


def test_a_tree_inside_itself_is_read_once(tmp_path, small):
    layouts.write_class_folders(tmp_path / "images", small)
    layouts.write_class_folders(tmp_path / "images" / "images", small)
    read = load(tmp_path)
    assert read.fingerprint == small.fingerprint
    assert f"{len(small)} files stand twice" in read.problems[0]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1", "LA", "I;16"])
def test_modes_of_images(tmp_path, small, mode):
    from PIL import Image

    image, out = small.images[0], io.BytesIO()
    if mode == "I;16":
        Image.fromarray(image.astype(np.uint16) * 257).save(out, "PNG")
    else:
        image = image if mode != "1" else (image > 127).astype(np.uint8) * 255
        Image.fromarray(image).convert(mode).save(out, "PNG")
    assert (load(put(tmp_path / "a.png", out.getvalue())).images[0] == image).all()


def test_a_browsers_avif_and_a_phones_heic(tmp_path, small):
    from PIL import Image

    out = io.BytesIO()
    Image.fromarray(small.images[0]).save(out, "AVIF", quality=100)
    read = load(put(tmp_path / "a.avif", out.getvalue()))
    assert np.abs(read.images[0].astype(int) - small.images[0]).mean() < 3
    heic = out.getvalue().replace(b"ftypavif", b"ftypheic", 1)
    with pytest.raises(DataError, match=r"b\.heic: not an image in a format.*save it as PNG"):
        load(put(tmp_path / "b.heic", heic))


def test_other_sizes_are_resized_with_a_note(tmp_path, small):
    large = small.images[0].repeat(4, 0).repeat(4, 1)
    put(tmp_path / "a.png", layouts.picture_bytes(large))
    wide = np.hstack([large * 0, large, large * 0])
    put(tmp_path / "b.png", layouts.picture_bytes(wide))
    read = load(tmp_path)
    assert read.images.shape == (2, SIZE, SIZE)
    assert (read.images[0] == read.images[1]).mean() > 0.9  # the centre, not squeezed
    assert np.abs(read.images[0].astype(int) - small.images[0]).mean() < 8
    assert read.problems[0].startswith("2 images are not 48 x 48")
    one = small.subset(np.array([0]))
    stacked = layouts.write_npz(tmp_path / "n" / "a.npz", one, images=large[None])
    assert (load(stacked).images[0] == read.images[0]).all()


# arrays and Parquet


def test_npz_without_ids_and_labels(tmp_path, small):
    np.savez_compressed(tmp_path / "a.npz", images=small.images)
    read = load(tmp_path / "a.npz")
    assert read.ids.tolist() == [str(i) for i in range(len(small))]
    assert (read.labels == UNLABELLED).all()


def test_a_single_array_brings_its_labels(tmp_path, small):
    folder = npy_pairs(tmp_path / "n", small, "{}_fdataX", "{}_flabels")
    assert load(folder / "train_fdataX.npy").fingerprint == small.subset(
        small.split == "train").fingerprint  # fmt: skip


def test_parquet_shards_number_on(tmp_path, small):
    for i, rows in enumerate(np.array_split(np.arange(len(small)), 3)):
        name = f"train-{i:05d}-of-00003.parquet"
        layouts.write_parquet(tmp_path / name, small.subset(rows), paths=False)
    read = load(tmp_path)
    assert read.ids.tolist() == small.ids.tolist()
    assert read.fingerprint == small.fingerprint and (read.votes == small.votes).all()


# archives, and what lies beside


def test_course_zips_beside_the_table(tmp_path, small):
    fall = layouts.write_course_pictures(tmp_path / "fall", small)
    for name in ("train", "test"):
        put(tmp_path / "zips" / f"{name}.zip", zipped(files_of(fall / name)))
    shutil.copy(fall / "train.csv", tmp_path / "zips")
    assert load(tmp_path / "zips").fingerprint == load(fall).fingerprint


def test_an_archive_beside_what_was_unpacked_from_it(tmp_path, small):
    put(tmp_path / "fer2013.csv", kaggle(small))
    put(tmp_path / "fer2013.tar.gz", tar({"fer2013.csv": kaggle(small)}))
    read = load(tmp_path)
    assert len(read) == len(small)
    assert read.problems == (f"{tmp_path}/fer2013.tar.gz not used: images lie beside it",)


@pytest.mark.parametrize("codec", ["utf-8", "cp950", "gb2312", "cp437"])
def test_names_in_archives_as_their_writers_meant_them(tmp_path, small, codec):
    """A zip of Windows holds names in its code page, and no flag that says so."""
    names = {"cp437": ["año_é", "Ünï"], "gb2312": ["张三", "李小龙", "王五的照片"]}.get(
        codec, ["王小明", "陳美麗", "林同學的照片"])  # fmt: skip
    raw = [name.encode(codec) for name in names]
    mark = [b"%c" % (97 + i) * len(name) for i, name in enumerate(raw)]
    image = layouts.picture_bytes(small.images[0])
    data = zipped({f"{name.decode()}.png": image for name in mark})
    for name, text in zip(mark, raw, strict=True):
        data = data.replace(name + b".png", text + b".png")
    assert sorted(load(put(tmp_path / "a.zip", data)).ids) == sorted(names)


def test_flagged_names_stand_beside_others(tmp_path, small):
    image, out = layouts.picture_bytes(small.images[0]), io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("小明.png", image)
        archive.writestr("xxxx.png", image)
    data = out.getvalue().replace(b"xxxx.png", "陳美".encode("cp950") + b".png")
    assert sorted(load(put(tmp_path / "a.zip", data)).ids) == ["小明", "陳美"]


def test_nothing_is_left_out_unsaid(tmp_path, small):
    layouts.write_npz(tmp_path / "faces.npz", small)
    put(tmp_path / "notes" / "a.txt", b"hello\nworld")
    put(tmp_path / "notes" / "b.docx", bytes(9))
    put(tmp_path / "model.pkl", b"\x80\x04N.")
    put(tmp_path / "prediction.csv", b"id,label\n0,3\n")
    put(tmp_path / ".hidden" / "x", b"x")
    put(tmp_path / "Thumbs.db", b"x")
    np.save(tmp_path / "extra_labels.npy", np.zeros(5, int))
    told = load(tmp_path).problems
    reasons = {"a.txt": "no faces", "b.docx": "another kind", "model.pkl": "pickle",
               "prediction.csv": "predictions", "extra_labels.npy": "of no images"}  # fmt: skip
    for name, why in reasons.items():
        assert any(name in line and why in line for line in told), told
    assert len(told) == 5


def test_the_default_is_the_data_folder_else_synthetic(tmp_path, small, monkeypatch):
    monkeypatch.setattr(hw3lib.data, "FOLDER", tmp_path / "data")
    put(tmp_path / "data" / "README.md", b"# where the images go")
    put(tmp_path / "data" / "pretrained" / "best.safetensors", b"x")
    assert load("", synthetic=30).synthetic
    layouts.write_npz(tmp_path / "data" / "a.npz", small)
    read = load()
    assert read.fingerprint == small.fingerprint and not read.problems
    assert len(load("synthetic:25")) == 25
    with pytest.raises(DataError, match="synthetic:x"):
        load("synthetic:x")


def test_links_that_lead_back_up(tmp_path, small):
    """They are not followed for ever."""
    folder = layouts.write_class_folders(tmp_path / "d", small)
    (folder / "up").symlink_to(tmp_path)
    (folder / "train" / "again").symlink_to(folder)
    assert len(load(folder)) == len(small) == len(files_of(folder))
