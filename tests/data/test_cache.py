"""The cache: quick, true to the files, whole or absent."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import layouts
import numpy as np
import pytest
from safetensors.numpy import load_file

import hw3lib.data
from hw3lib.data import cache, load
from hw3lib.data.faces import Faces


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch):
    """Paths that were read from their files, not from the cache."""
    paths = []

    def counted(path, files, real=hw3lib.data.read_faces):
        paths.append(path)
        return real(path, files)

    monkeypatch.setattr(hw3lib.data, "read_faces", counted)
    return paths


def same(one: Faces, other: Faces) -> bool:
    arrays = ("images", "labels", "ids", "split", "group", "votes")
    return (one.layout, one.problems) == (other.layout, other.problems) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in arrays
    )


def kaggle(tmp_path, **options):
    faces = layouts.small_faces(votes=True, **options)
    return layouts.write_kaggle_csv(tmp_path / "fer2013.csv", faces, votes=True)


@pytest.mark.parametrize("layout", ["kaggle-csv", "class-folders", "numpy", "parquet"])
def test_the_second_load_comes_from_the_cache(tmp_path, reads, layout):
    path = layouts.write_layouts(tmp_path / "d", layouts.small_faces(votes=True))[layout]
    first, second = load(path), load(path)
    assert len(reads) == 1
    assert same(first, second)
    assert not second.images.flags.writeable
    assert isinstance(second.images.base, np.memmap)


def test_problems_and_empty_strings_survive(tmp_path, reads):
    for i in range(3):
        image = layouts.small_faces().images[i].repeat(2, 0).repeat(2, 1)
        (tmp_path / "p").mkdir(exist_ok=True)
        (tmp_path / "p" / f"{i}.png").write_bytes(layouts.picture_bytes(image))
    assert same(load(tmp_path / "p"), load(tmp_path / "p"))
    assert load(tmp_path / "p").problems
    assert set(load(tmp_path / "p").split) == {""}
    assert len(reads) == 1


def test_a_changed_file_is_noticed(tmp_path, reads):
    file = kaggle(tmp_path)
    before = load(file)
    info = file.stat()
    text = file.read_bytes()
    file.write_bytes(text.replace(b"\n3,", b"\n4,", 1))
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))  # same size, same time
    after = load(file)
    assert len(reads) == 2
    assert (before.labels != after.labels).sum() == 1


def test_a_changed_companion_is_noticed(tmp_path, reads):
    file = kaggle(tmp_path)
    assert load(file).votes is not None
    (tmp_path / "fer2013new.csv").unlink()
    assert load(file).votes is None
    assert len(reads) == 2


def test_new_and_renamed_pictures_are_noticed(tmp_path, reads):
    home = layouts.write_class_folders(tmp_path / "f", layouts.small_faces())
    n = len(load(home))
    picture = next(home.rglob("*.png"))
    shutil.copy(picture, picture.with_name("Training_999.png"))
    assert len(load(home)) == n + 1
    picture.rename(picture.with_name("Training_998.png"))
    assert "Training_998" in load(home).ids
    assert len(reads) == 3


def test_a_touched_file_is_compared_by_content(tmp_path, reads):
    file = kaggle(tmp_path)
    load(file)
    for second in (1, 2):
        os.utime(file, (second, second))
        load(file)
    load(file)
    assert len(reads) == 1


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("how", ["flip", "cut"])
def test_a_damaged_cache_is_made_again(tmp_path, folder, reads, share, how):
    file = kaggle(tmp_path)
    whole = load(file)
    images, labels = np.array(whole.images), whole.labels.copy()
    (kept,) = folder.glob("*.safetensors")
    data = bytearray(kept.read_bytes())
    at = int(share * (len(data) - 1))
    del whole
    kept.write_bytes(bytes(data[:at]) if how == "cut" else bytes(_flipped(data, at)))
    again = load(file)
    assert (again.images == images).all()
    assert (again.labels == labels).all()
    assert len(reads) == 2
    load(file)
    assert len(reads) == 2


def _flipped(data, at):
    data[at] ^= 0x55
    return data


def test_an_interrupted_write_leaves_nothing(tmp_path, folder, monkeypatch):
    file = kaggle(tmp_path)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", stop)
    with pytest.raises(KeyboardInterrupt):
        load(file)
    assert not list(folder.iterdir())


def test_a_killed_write_leaves_no_cache(tmp_path, folder, reads):
    file = kaggle(tmp_path)
    code = (
        "import os, signal, sys; from hw3lib.data import load; "
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL); load(sys.argv[1])"
    )
    done = subprocess.run([sys.executable, "-c", code, str(file)], timeout=60)
    assert done.returncode == -9
    assert not list(folder.glob("*.safetensors"))
    (left,) = folder.glob(".*.part")
    os.utime(left, (0, 0))  # what is older than a day goes
    assert len(load(file)) == 42
    assert not list(folder.glob(".*.part"))
    assert len(reads) == 1


def test_a_full_or_closed_disk_does_not_stop_the_reading(tmp_path, folder, monkeypatch):
    folder.write_text("a file where the folder should be")
    assert len(load(kaggle(tmp_path))) == 42


def test_a_file_that_changes_while_it_is_read_is_not_kept(tmp_path, folder, monkeypatch):
    file = kaggle(tmp_path)

    def meddle(path, files, real=hw3lib.data.read_faces):
        faces = real(path, files)
        os.utime(file, (5, 5))
        return faces

    monkeypatch.setattr(hw3lib.data, "read_faces", meddle)
    load(file)
    assert not folder.exists() or not list(folder.iterdir())


def test_caches_of_vanished_data_are_removed(tmp_path, folder):
    gone = layouts.write_npz(tmp_path / "gone.npz", layouts.small_faces())
    load(gone)
    gone.unlink()
    load(kaggle(tmp_path))
    assert len(list(folder.glob("*.safetensors"))) == 1


def test_another_version_of_the_readers_reads_again(tmp_path, reads, monkeypatch):
    file = kaggle(tmp_path)
    load(file)
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    load(file)
    assert len(reads) == 2


def test_the_cache_lies_in_the_data_folder(monkeypatch):
    monkeypatch.delenv("HW3_CACHE")
    assert cache.cache_folder() == hw3lib.data.FOLDER / ".cache"


def test_many_files_are_read_once(tmp_path, reads):
    image = layouts.picture_bytes(layouts.small_faces().images[0])
    for i in range(1000):
        home = tmp_path / "f" / layouts.FOLDERS[i % 7]
        home.mkdir(parents=True, exist_ok=True)
        (home / f"{i}.png").write_bytes(image)
    load(tmp_path / "f")
    load(tmp_path / "f")
    assert len(reads) == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda header: [header],
        lambda header: {},
        lambda header: {"__metadata__": header["__metadata__"]},
        lambda header: {**header, "__metadata__": {**header["__metadata__"], "faces": "[" * 9**5}},
        lambda header: {**header, "images": {**header["images"], "dtype": "O"}},
        lambda header: {**header, "images": {**header["images"], "shape": [2**40, 48, 48]}},
        lambda header: {**header, "images": {**header["images"], "shape": [-1, 48, 48]}},
        lambda header: {**header, "labels": {**header["labels"], "data_offsets": [2**60, 2**61]}},
        lambda header: {**header, "other": header["labels"]},
    ],
)
def test_a_forged_cache_is_made_again(tmp_path, folder, reads, change):
    file = layouts.write_npz(tmp_path / "a.npz", layouts.small_faces())
    first = np.array(load(file).images)
    (kept,) = folder.glob("*.safetensors")
    data = kept.read_bytes()
    length = int.from_bytes(data[:8], "little")
    text = json.dumps(change(json.loads(data[8 : 8 + length]))).encode()
    kept.write_bytes(len(text).to_bytes(8, "little") + text + data[8 + length :])
    assert np.array_equal(load(file).images, first)
    assert len(reads) == 2 and np.array_equal(load(file).images, first)
    assert len(reads) == 2


def test_any_reader_of_safetensors_opens_it(tmp_path, folder):
    file = layouts.write_npz(tmp_path / "a.npz", layouts.small_faces())
    faces = load(file)
    (kept,) = folder.glob("*.safetensors")
    assert np.array_equal(load_file(kept)["images"], faces.images)
