"""The cache: quick, true to the files, whole or absent."""

from __future__ import annotations

import itertools
import os
import shutil

import layouts
import numpy as np
import pytest
from hostile.case import cut_or_flipped
from safetensors.numpy import load_file

import hw3lib.data
from hw3lib.data import cache, load
from hw3lib.data.faces import ARRAYS, Faces


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HW3_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def reads(monkeypatch):
    """Paths that were read from their files, not from the cache."""
    paths = []

    def counted(path, real=hw3lib.data.read_faces):
        paths.append(path)
        return real(path)

    monkeypatch.setattr(hw3lib.data, "read_faces", counted)
    return paths


@pytest.fixture
def file(tmp_path):
    """A table and the votes beside it."""
    faces = layouts.small_faces(votes=True)
    return layouts.write_with_votes(tmp_path / "fer2013.csv", faces)


def same(one: Faces, other: Faces) -> bool:
    return (one.layout, one.problems) == (other.layout, other.problems) and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in ARRAYS
    )


def test_the_second_load_comes_from_the_cache(file, tmp_path, reads):
    image = layouts.small_faces().images[0].repeat(2, 0).repeat(2, 1)
    for i in range(3):  # problems, empty splits, no votes
        layouts.put(tmp_path / "p" / f"{i}.png", layouts.picture_bytes(image))
    for path in (file, tmp_path / "p"):
        first, second = load(path), load(path)
        assert same(first, second) and not second.images.flags.writeable
        assert isinstance(second.images.base, np.memmap)
    assert len(reads) == 2 and second.problems and set(second.split) == {""}
    kept = cache.cache_file(file)
    assert np.array_equal(load_file(kept)["images"], load(file).images)  # any reader opens it


def test_a_changed_file_is_noticed(file, reads):
    before = load(file)
    info = file.stat()
    file.write_bytes(file.read_bytes().replace(b"\n3,", b"\n4,", 1))
    os.utime(file, ns=(info.st_atime_ns, info.st_mtime_ns))  # same size, same time
    assert (before.labels != load(file).labels).sum() == 1
    (file.parent / "fer2013new.csv").unlink()
    assert load(file).votes is None
    assert len(reads) == 3


def test_new_and_renamed_images_are_noticed(tmp_path, reads):
    home = layouts.write_class_folders(tmp_path / "f", layouts.small_faces())
    n = len(load(home))
    image = next(home.rglob("*.png"))
    shutil.copy(image, image.with_name("Training_999.png"))
    assert len(load(home)) == n + 1
    image.rename(image.with_name("Training_998.png"))
    assert "Training_998" in load(home).ids
    assert len(reads) == 3


def test_other_readers_read_again(file, reads, monkeypatch):
    load(file)
    monkeypatch.setattr(cache, "VERSION", cache.VERSION + 1)
    load(file)
    assert len(reads) == 2


def test_a_damaged_cache_is_made_again(file, reads):
    """Whichever byte it is, of the header or of the numbers, and wherever the file ends."""
    images, kept = np.array(load(file).images), cache.cache_file(file)
    stamp = cache.stamp(file, hw3lib.data.files_of(file))
    assert cache.load_cached(file, stamp)
    data = kept.read_bytes()
    shares = [*np.linspace(0, 0.02, 100), *np.linspace(0.02, 1, 20)]  # the header comes first
    for how, share in itertools.product(("flip", "cut"), shares):
        kept.write_bytes(cut_or_flipped(data, how, share))
        assert cache.load_cached(file, stamp) is None
    assert np.array_equal(load(file).images, images) and len(reads) == 2
    load(file)
    assert len(reads) == 2


def test_an_interrupted_write_leaves_nothing(file, folder, monkeypatch):
    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(os, "replace", stop)
        load(file)
    assert not list(folder.iterdir())
    left = layouts.put(folder / ".x.0.part")  # of a killed process, older than a day
    os.utime(left, (0, 0))
    load(file)
    assert not left.exists()


def test_a_full_or_closed_disk_does_not_stop_the_reading(file, folder):
    folder.write_text("a file where the folder should be")
    assert len(load(file)) == 42


def test_a_file_that_changes_while_it_is_read_is_not_kept(file, folder, monkeypatch):
    def meddle(path, real=hw3lib.data.read_faces):
        faces = real(path)
        os.utime(file, (5, 5))
        return faces

    monkeypatch.setattr(hw3lib.data, "read_faces", meddle)
    load(file)
    assert not folder.exists() or not list(folder.iterdir())


def test_the_cache_lies_in_the_data_folder(monkeypatch):
    monkeypatch.delenv("HW3_CACHE")
    assert cache.cache_folder() == hw3lib.data.FOLDER / ".cache"
