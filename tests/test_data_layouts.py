"""Every layout gives the same Faces: bit for bit where it is lossless, ids and labels always."""

from __future__ import annotations

import shutil

import layouts
import numpy as np
import pytest

from hw3lib.data import load
from hw3lib.data.faces import CLASSES, SIZE, UNLABELLED, DataError
from hw3lib.data.names import class_index
from hw3lib.data.readers.pixels import parse_pixels


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="module")
def faces():
    return layouts.small_faces(votes=True)


def by_pixels(faces):
    """Picture bytes -> sorted (label, split) of every row that shows it."""
    found: dict[bytes, list] = {}
    for image, label, split in zip(faces.images, faces.labels, faces.split, strict=True):
        found.setdefault(image.tobytes(), []).append((int(label), str(split)))
    return {key: sorted(value) for key, value in found.items()}


FULL = ("kaggle-csv", "class-folders", "numpy", "parquet")


@pytest.mark.parametrize("zipped", [False, True])
def test_six_families_hold_the_same_faces(tmp_path, faces, zipped):
    train = faces.subset(faces.split == "train")
    for layout, path in layouts.write_layouts(tmp_path / "data", faces).items():
        if zipped:
            path = layouts.write_zip(tmp_path / "zips" / f"{layout}.zip", path, under="archive/")
        read = load(path)
        assert read.layout == layout
        assert not read.problems
        if layout in FULL:
            assert read.fingerprint == faces.fingerprint
            assert by_pixels(read) == by_pixels(faces)
        kept = layouts.labelled(read).subset(layouts.labelled(read).split == "train")
        assert kept.fingerprint == train.fingerprint
        assert sorted(read.split) == sorted(faces.split)


def test_labels_follow_the_ids(tmp_path, faces):
    label_of = dict(zip(faces.ids.tolist(), faces.labels.tolist(), strict=True))
    paths = layouts.write_layouts(tmp_path / "data", faces)
    for layout in ("course-pictures", "class-folders", "numpy", "parquet", "kaggle-csv"):
        read = layouts.labelled(load(paths[layout]))
        for name, label in zip(read.ids.tolist(), read.labels.tolist(), strict=True):
            assert label_of[str(int(name.split("_")[-1]))] == label


@pytest.mark.parametrize("write", [layouts.write_course_pictures, layouts.write_class_folders])
def test_jpeg_keeps_ids_and_labels(tmp_path, faces, write):
    lossless, lossy = (
        load(write(tmp_path / "png", faces)),
        load(write(tmp_path / "j", faces, "JPEG")),
    )
    assert lossy.ids.tolist() == lossless.ids.tolist()
    assert lossy.labels.tolist() == lossless.labels.tolist()
    difference = np.abs(lossy.images.astype(int) - lossless.images)
    assert 0 < difference.mean() < 4


def test_course_test_folder_is_unlabelled_and_in_natural_order(tmp_path, faces):
    for i in (10, 9, 2, 100):
        file = tmp_path / "test_pictures" / f"{i}.jpg"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(layouts.picture_bytes(faces.images[i % 42], "JPEG"))
    read = load(tmp_path / "test_pictures")
    assert read.layout == "pictures"
    assert read.ids.tolist() == ["2", "9", "10", "100"]
    assert (read.labels == UNLABELLED).all()


def test_ids_that_a_spreadsheet_made_numbers_of(tmp_path, faces):
    folder = layouts.write_course_pictures(tmp_path / "fall", faces)
    text = (folder / "train.csv").read_text().splitlines()
    plain = [text[0], *(line.lstrip("0") if line[0] == "0" else line for line in text[1:])]
    plain = [line if not line.startswith(",") else "0" + line for line in plain]
    before = load(folder)
    (folder / "train.csv").write_text("\n".join(plain))
    assert load(folder).labels.tolist() == before.labels.tolist()


def test_single_files(tmp_path, faces):
    (tmp_path / "photo.jpg").write_bytes(layouts.picture_bytes(faces.images[0], "JPEG"))
    assert load(tmp_path / "photo.jpg").ids.tolist() == ["photo"]
    test = layouts.write_course_csv(tmp_path / "spring", faces) / "test.csv"
    read = load(test)
    assert read.ids.tolist() == faces.ids[faces.split == "test"].tolist()
    assert (read.labels == UNLABELLED).all()
    assert set(read.split) == {"test"}
    half = load(layouts.write_npy(tmp_path / "npy", faces) / "x_train.npy")
    assert half.fingerprint == faces.subset(faces.split == "train").fingerprint


@pytest.mark.parametrize("name", ["icml_face_data.csv", "fer2013.csv"])
def test_kaggle_columns_in_any_order_and_with_blanks(tmp_path, faces, name):
    file = layouts.write_kaggle_csv(tmp_path / name, faces, blanks=name.startswith("icml"))
    assert load(file).fingerprint == faces.fingerprint


def test_kaggle_folder_reads_the_whole_file_once(tmp_path, faces):
    layouts.write_kaggle_csv(tmp_path / "icml_face_data.csv", faces, blanks=True)
    rows = [[faces.labels[i], layouts.pixel_text(faces.images[i])] for i in range(5)]
    layouts.write_csv(tmp_path / "train.csv", [["emotion", "pixels"], *rows])
    layouts.write_csv(tmp_path / "example_submission.csv", [["id", "label"], [0, 3]])
    read = load(tmp_path)
    assert read.fingerprint == faces.fingerprint
    assert len(read.problems) == 2
    assert "train.csv not read" in " ".join(read.problems)


def test_torchvision_files(tmp_path, faces):
    train, test = (np.flatnonzero(faces.split == name) for name in ("train", "test"))
    rows = [[faces.labels[i], layouts.pixel_text(faces.images[i])] for i in train]
    layouts.write_csv(tmp_path / "train.csv", [["emotion", "pixels"], *rows])
    rows = [[layouts.pixel_text(faces.images[i])] for i in test]
    layouts.write_csv(tmp_path / "test.csv", [["pixels"], *rows])
    read = load(tmp_path)
    assert by_pixels(layouts.labelled(read)) == by_pixels(faces.subset(train))
    assert (read.split == "test").sum() == len(test)


def test_quotes_bom_and_windows_lines(tmp_path, faces):
    lines = ["\ufeffemotion,pixels,Usage"]
    for i in range(len(faces)):
        usage = layouts.USAGE[faces.split[i]]
        lines.append(f'{faces.labels[i]},"{layouts.pixel_text(faces.images[i])}",{usage}')
    (tmp_path / "fer2013.csv").write_text("\r\n".join(lines) + "\r\n\r\n", encoding="utf-8")
    assert load(tmp_path).fingerprint == faces.fingerprint


def test_ferplus_votes_join_by_row(tmp_path, faces):
    file = layouts.write_kaggle_csv(tmp_path / "fer2013.csv", faces, votes=True)
    for path in (file, tmp_path):
        read = load(path)
        assert (read.votes == faces.votes).all()
    assert (
        load(layouts.write_parquet(tmp_path / "p" / "a.parquet", faces)).votes == faces.votes
    ).all()


def test_kaggle_prefix_tells_the_split(tmp_path, faces):
    home = tmp_path / "test" / "happy"
    home.mkdir(parents=True)
    for i, prefix in enumerate(("Training", "PublicTest", "PrivateTest", "other")):
        (home / f"{prefix}_{i}.png").write_bytes(layouts.picture_bytes(faces.images[i]))
    read = load(tmp_path)
    told = dict(zip(read.ids.tolist(), read.split.tolist(), strict=True))
    assert told == {
        "Training_0": "train",
        "PublicTest_1": "test",
        "PrivateTest_2": "private",
        "other_3": "test",
    }


def test_class_order_is_by_name_in_every_family(tmp_path, faces):
    """Alphabetical class names (Neutral before Sad and Surprise) must not change a label."""
    names = np.array(sorted(CLASSES))
    theirs = np.array([names.tolist().index(CLASSES[label]) for label in faces.labels])
    file = layouts.write_npz(tmp_path / "a.npz", faces, classes=names, labels=theirs)
    assert load(file).labels.tolist() == faces.labels.tolist()
    words = np.array([CLASSES[label] for label in faces.labels])
    file = layouts.write_npz(tmp_path / "b.npz", faces, labels=words)
    assert load(file).labels.tolist() == faces.labels.tolist()
    for word, index in {
        "happiness": 3,
        "Anger": 0,
        "surprised": 5,
        "5_surprise": 5,
        "6": 6,
    }.items():
        assert class_index(word) == index
    assert class_index("contempt") is None


def test_validation_folder_becomes_test_only_where_there_is_none(tmp_path, faces):
    for split in ("train", "validation"):
        home = tmp_path / split / "sad"
        home.mkdir(parents=True)
        (home / f"{split}.png").write_bytes(layouts.picture_bytes(faces.images[len(split)]))
    assert sorted(load(tmp_path).split) == ["test", "train"]
    shutil.copytree(tmp_path / "validation", tmp_path / "test")
    (tmp_path / "test" / "sad" / "validation.png").rename(tmp_path / "test" / "sad" / "t.png")
    read = load(tmp_path)
    assert sorted(read.split) == ["test", "train", "train"]
    assert "validation" in read.problems[0]


def test_one_name_in_several_classes(tmp_path, faces):
    for i, name in enumerate(("angry", "sad")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.png").write_bytes(layouts.picture_bytes(faces.images[i]))
    assert load(tmp_path).ids.tolist() == ["angry/1", "sad/1"]


def test_a_tree_inside_itself_is_read_once(tmp_path, faces):
    layouts.write_class_folders(tmp_path / "images", faces)
    layouts.write_class_folders(tmp_path / "images" / "images", faces)
    read = load(tmp_path)
    assert read.fingerprint == faces.fingerprint
    assert f"{len(faces)} files stand twice" in read.problems[0]


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "1"])
def test_modes_of_pictures(tmp_path, faces, mode):
    image = faces.images[0] if mode != "1" else (faces.images[0] > 127).astype(np.uint8) * 255
    (tmp_path / "a.png").write_bytes(layouts.picture_bytes(image, mode=mode))
    read = load(tmp_path / "a.png").images[0]
    assert (read == image).all() or (mode == "1" and np.isin(read, (0, 255)).all())


def test_other_sizes_are_resized_with_a_note(tmp_path, faces):
    large = faces.images[0].repeat(4, 0).repeat(4, 1)
    (tmp_path / "a.png").write_bytes(layouts.picture_bytes(large))
    (tmp_path / "b.png").write_bytes(
        layouts.picture_bytes(np.hstack([large * 0, large, large * 0]))
    )
    read = load(tmp_path)
    assert read.images.shape == (2, SIZE, SIZE)
    assert (read.images[0] == read.images[1]).mean() > 0.9  # the centre, not squeezed
    assert np.abs(read.images[0].astype(int) - faces.images[0]).mean() < 8
    assert read.problems[0].startswith("2 pictures are not 48 x 48")
    stacked = layouts.write_npz(
        tmp_path / "n" / "a.npz", faces.subset(np.array([0])), images=large[None]
    )
    assert (load(stacked).images[0] == read.images[0]).all()


def variants(images):
    return {
        "float": images.astype(np.float32) / 255,
        "whole floats": images.astype(np.float64),
        "flat": images.reshape(-1, SIZE * SIZE),
        "channels last": images[..., None],
        "channels first": images[:, None].astype(np.int64),
        "rgb": images[..., None].repeat(3, -1),
    }


@pytest.mark.parametrize("name", list(variants(np.zeros((1, SIZE, SIZE)))))
def test_npz_variants(tmp_path, faces, name):
    images = variants(faces.images)[name]
    file = layouts.write_npz(tmp_path / "a.npz", faces, images=images)
    assert load(file).fingerprint == faces.fingerprint


def test_npz_without_ids_and_labels(tmp_path, faces):
    np.savez_compressed(tmp_path / "a.npz", images=faces.images)
    read = load(tmp_path / "a.npz")
    assert read.ids.tolist() == [str(i) for i in range(len(faces))]
    assert (read.labels == UNLABELLED).all()


def test_npy_folder(tmp_path, faces):
    read = load(layouts.write_npy(tmp_path / "npy", faces))
    assert read.fingerprint == faces.fingerprint
    assert sorted(read.split) == sorted(faces.split)


def test_zip_in_a_folder(tmp_path, faces):
    file = layouts.write_kaggle_csv(tmp_path / "a" / "fer2013.csv", faces)
    archive = layouts.write_zip(tmp_path / "b" / "fer2013.csv.zip", file)
    assert load(archive.parent).fingerprint == faces.fingerprint
    shutil.copy(file, archive.parent)  # unpacked beside it: read once
    read = load(archive.parent)
    assert len(read) == len(faces)
    assert "zip not read" in read.problems[0]


def test_course_zips_beside_the_table(tmp_path, faces):
    fall = layouts.write_course_pictures(tmp_path / "fall", faces)
    for name in ("train", "test"):
        layouts.write_zip(tmp_path / "zips" / f"{name}.zip", fall / name)
    shutil.copy(fall / "train.csv", tmp_path / "zips")
    assert load(tmp_path / "zips").fingerprint == load(fall).fingerprint


def test_predictions_are_no_labels(tmp_path, faces):
    home = tmp_path / "x"
    home.mkdir()
    (home / "0000.png").write_bytes(layouts.picture_bytes(faces.images[0]))
    layouts.write_csv(home / "prediction.csv", [["id", "label"], ["0000", 3]])
    read = load(home)
    assert read.labels.tolist() == [UNLABELLED]
    assert "prediction.csv not read" in read.problems[0]


def test_the_default_is_the_data_folder_else_synthetic(tmp_path, faces, monkeypatch):
    import hw3lib.data

    monkeypatch.setattr(hw3lib.data, "FOLDER", tmp_path / "data")
    assert load("", synthetic=30).synthetic
    layouts.write_npz(tmp_path / "data" / "a.npz", faces)
    assert load().fingerprint == faces.fingerprint
    assert len(load("synthetic:25")) == 25
    with pytest.raises(DataError, match="synthetic:x"):
        load("synthetic:x")


def test_pixel_text_against_numpy():
    rng = np.random.default_rng(0)
    table = rng.integers(0, 256, (70, SIZE * SIZE))
    texts = [" ".join(map(str, row)).encode() for row in table]
    texts[3] = b"  " + texts[3].replace(b" ", b"  ") + b" "
    assert (parse_pixels(texts, str) == table).all()


def test_parquet_shards_number_on(tmp_path, faces):
    for i, rows in enumerate(np.array_split(np.arange(len(faces)), 3)):
        name = f"train-{i:05d}-of-00003.parquet"
        layouts.write_parquet(tmp_path / name, faces.subset(rows), paths=False)
    read = load(tmp_path)
    assert read.ids.tolist() == faces.ids.tolist()
    assert read.fingerprint == faces.fingerprint
