"""Bad input of weights, archives of Runs, profiles and authors: each is refused in one line,
soon, in little memory, tracelessly, and nothing runs what it holds."""

from __future__ import annotations

import ast
import contextlib
import gzip
import hashlib
import importlib
import io
import json
import lzma
import os
import pickle
import shutil
import struct
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hostile import runs, weights
from hostile.case import STEERS, WORDS, Trap, bounded, damaged, folder_below
from hostile.runs import entry, members, packed
from layouts import put

from hw3lib import UserError, cli, printable
from hw3lib.files import ROOT
from hw3lib.models.network import load_network
from hw3lib.report.cover import read_author
from hw3lib.training.checkpoint import read_checkpoint
from hw3lib.training.pack import unpack
from hw3lib.training.recipe import Recipe
from hw3lib.training.study import read_profile, read_recipes

pytestmark = pytest.mark.faults
BEST = str(ROOT / "data" / "pretrained" / "best.safetensors")
RUN = "x-0123456789ab/record.json"
Data = bytes | str | Callable[[], bytes]  # of a file; what is large is made when it is wanted


READ = {  # reader -> a name for its file, how it is read
    "weights": ("w.safetensors", load_network),
    "archive": ("runs.tar.gz", lambda file: unpack(file, file.parent / "runs")),
    "profile": ("p.toml", lambda file: read_recipes(read_profile(file), str(file))),
    "author": ("author.toml", read_author),
}


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    """An input's folder; everything that hw3 could write to lies below its parents[3]."""
    root = tmp_path / "x"
    for name in ("runs", "tmp"):
        (root / name).mkdir(parents=True)
    monkeypatch.setenv("HW3_RUNS", str(root / "runs"))
    monkeypatch.setattr(tempfile, "tempdir", str(root / "tmp"))
    return folder_below(root)


def written(place: Path, name: str, data: Data) -> Path:
    data = data() if callable(data) else data
    return put(place / name, data.encode() if isinstance(data, str) else data)


def trap(place: Path) -> Trap:
    return Trap(place.parents[3] / "canary")


@pytest.fixture(scope="module", autouse=True)
def _libraries_are_there():
    """So that their size is no input's."""
    load_network(BEST)
    importlib.import_module("pandas")


def refused(reader: str, path: Path, *words: str) -> None:
    """Its reader must refuse the path in one line that holds the words."""
    with bounded(path.parents[4]), pytest.raises((UserError, OSError)) as caught:
        READ[reader][1](path)
    line = cli.fault_of(caught.value)
    assert not STEERS.search(line), "more than one line, or characters that steer a terminal"
    assert 20 < len(line) <= 1000, line
    for word in words:
        assert word in line, line


# what befalls any file

OTHER: dict[str, Data] = {
    "web page": "<html>404</html>", "picture": b"\x89PNG\r\n\x1a\n", "zip": b"PK\3\4" + bytes(60),
    "JSON": '{"recipes": {}, "name": "x"}', "nothing but NUL": bytes(99),
    "brackets": "x = " + "[" * 100_000,
    "UTF-16": "name = 'x'\n".encode("utf-16"), "Big5": "name = '設定'\n".encode("big5"),
    "3 MB": lambda: b"# " + b"x" * 3 * 2**20,
}  # fmt: skip


@pytest.mark.parametrize("other", [*OTHER, "pickle"])
@pytest.mark.parametrize("reader", READ)
def test_other_content(reader, other, place):
    data = OTHER.get(other) or pickle.dumps(trap(place))
    name = "w\n<b>" + READ[reader][0] if other == "zip" else READ[reader][0]  # a hostile name, once
    refused(reader, written(place, name, data), r"w\n<b>" if other == "zip" else name)


UNUSUAL: dict[str, Callable[[Path], object]] = {
    "a broken link": lambda file: file.symlink_to("/nowhere/at/all"),
    "a device without end": lambda file: file.symlink_to("/dev/zero"),
    "a pipe": os.mkfifo,
    "a folder": os.mkdir,
}


@pytest.mark.parametrize("kind", UNUSUAL)
@pytest.mark.parametrize("reader", READ)
def test_no_ordinary_file(reader, kind, place):
    file = place / READ[reader][0]
    UNUSUAL[kind](file)
    refused(reader, file, file.name)


def test_the_canary_sings(place):
    """The pickles here do run what they hold, where anyone lets them."""
    pickle.loads(pickle.dumps(trap(place)))
    assert (place.parents[3] / "canary").exists()


# weights (more in tests/models/test_network.py) and archives


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (lambda: weights.changed(weights.recipe(model="vgg16", width=16)), ["do not fit"]),
        (lambda: weights.changed(weights.recipe(model="\x1b[2J\n")), [r"\x1b[2J"]),
        (struct.pack("<Q", 90 * 2**20) + b"{}", ["copy it again"]),
        (struct.pack("<Q", 8) + b'{"\xe9": 1}', ["copy it again"]),
    ],
    ids=["a bomb", "a name", "a length of 90 MB", "Latin-1"],
)  # fmt: skip
def test_weights(data, words, place):
    refused("weights", written(place, "w.safetensors", data), *words)


@pytest.mark.parametrize("name", ["w.pt", "w.safetensors"])
def test_a_pickle_of_torch_is_not_opened(name, place):
    out = io.BytesIO()
    torch.save({"weights": trap(place)}, out)
    file = put(place / name, out.getvalue())
    refused("weights", file, "pickle" if name != "w.pt" else "safetensors")
    file.unlink()
    archive = packed(*members(runs.sealed(weights=out.getvalue())))
    refused("archive", put(place / "runs.tar.gz", archive), runs.WEIGHTS, "pickle")


def after(*inside: runs.Member) -> Callable[[], bytes]:
    """A sound Run and then these."""
    return lambda: packed(*members(), *inside)


def kind(of: bytes, link: str = "") -> Callable[[], bytes]:
    return after(entry(RUN, type=of, linkname=link))


def without(name: str) -> Callable[[], bytes]:
    return lambda: packed(*(member for member in members() if name not in member[0].name))


def head(size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    return entry(RUN, size=size, type=kind)[0].tobuf(tarfile.GNU_FORMAT)


def zeros(kind: bytes = tarfile.REGTYPE, size: int = 200) -> Callable[[], bytes]:
    """A head that is followed by so many MiB of nothing, in less than one."""
    return lambda: gzip.compress(head(size * 2**20, kind) + bytes(size * 2**20), 1)


NO_PART = "no part of a Run"
ARCHIVES: dict[str, tuple[Data, list[str]]] = {
    **{name: (after(entry(name, b"{}")), [NO_PART]) for name in (
        "../evil/record.json", "a/../../evil", "../../../record.json", "./record.json",
        "/record.json", "/tmp/evil/record.json", "C:/record.json", "..\\x/record.json",
        "x-0123456789ab/run.sh", ".ssh/record.json", "<b>/record.json")},
    "a line end": (after(entry("x\n\x1b[2J/record.json", b"{}")), [r"x\n\x1b[2J", NO_PART]),
    "a pipe": (kind(tarfile.FIFOTYPE), [NO_PART]), "a device": (kind(tarfile.CHRTYPE), [NO_PART]),
    "a link": (kind(tarfile.SYMTYPE, "/etc/passwd"), [NO_PART]),
    "a hard link": (kind(tarfile.LNKTYPE, "../../x"), [NO_PART]),
    "a folder that is a link": (lambda: packed(
        entry(runs.NAME, type=tarfile.SYMTYPE, linkname="/tmp"), *members()), [NO_PART]),
    "no Run": (packed(), ["no Run"]),
    "xz": (lambda: lzma.compress(gzip.decompress(packed(*members()))), ["pack it again"]),
    "zeros": (zeros(), ["unpacks to"]),
    "a long name": (zeros(tarfile.GNUTYPE_LONGNAME), ["unpacks to"]),
    "a long header": (zeros(tarfile.XHDTYPE), ["unpacks to"]),
    "8 TB": (gzip.compress(head(8 * 2**40) + bytes(4096)), []),
    "a size below 0": (gzip.compress(
        head(5).replace(b"00000000005", b"-0000000005") + bytes(4096)), ["pack it again"]),
    "of another recipe": (lambda: packed(*(entry(f"slim_resnet-0123456789ab/{name}", data)
                                           for name, data in runs.sealed().items())),
                          ["slim_resnet-0123456789ab"]),
    "a file twice": (lambda: packed(*members(), members()[0]), ["twice"]),
    "no record": (without("record"), ["damaged Run"]),
    "no logits": (without("logits"), ["damaged Run"]),
    "other weights": (lambda: packed(*members({**runs.sealed(), runs.WEIGHTS: bytes(99)})),
                      ["damaged Run", runs.WEIGHTS]),
    "a list": (lambda: packed(*members({**runs.sealed(), runs.RECORD: b"[]"})), ["damaged Run"]),
    "deep": (lambda: packed(*members({**runs.sealed(), runs.RECORD: b"[" * 100_000})),
             ["damaged Run"]),
    "many": (lambda: packed(*(entry(f"x{i:06d}-0123456789ab/record.json") for i in range(1000))),
             ["damaged Run"]),
}  # fmt: skip


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives(name, place):
    data, words = ARCHIVES[name]
    refused("archive", written(place, "runs.tar.gz", data), *words)


# TOML that users write

GOOD = "[recipes.a]\nmodel = 'slim_resnet'\nwidth = 0.25\nepochs = 1\n"
BASES = "".join(f"[recipes.r{i}]\nbase = 'r{i + 1}'\n" for i in range(2000))
PROFILES = [  # a word of the refusal, the text
    ("TOML", GOOD + "[recipes.b"), ("TOML", GOOD + GOOD), ("TOML", GOOD + "x = 'a\0b'\n"),
    ("recipes", "recipes = 5\n"), ("recipes.a", "[recipes]\na = 5\n"),
    ("settings", GOOD + "[[settings]]\n"), ("folds", "folds = 'x'\n" + GOOD),
    ("validation", GOOD + "[folds]\nvalidation = 'x'\n"),
    ("validation", GOOD + "[folds]\nvalidation = 2.0\n"), ("size", GOOD + "[folds]\nsize = 1\n"),
    ("base", GOOD + "[recipes.b]\nbase = ['a']\n"), ("itself", "[recipes.a]\nbase = 'a'\n"),
    ("missing", "[recipes.a]\nbase = 'b'\n"), ("missing", GOOD + "[recipes.b]\nbase = '../a'\n"),
    ("p.toml", GOOD + BASES + "[recipes.r2000]\nbase = 'a'\n"), ("seeds", GOOD + "seeds = 7\n"),
    ("seed", GOOD + "seeds = ['x']\n"), ("seeds", GOOD + f"seeds = {[*range(20_000)]}\n"),
    ("model", "[recipes.a]\nmodel = ['x']\n"), ("model", "[recipes.a]\nwidth = 0.25\n"),
    ("model", GOOD + '[recipes."\\u001b[2J\\n"]\nwidth = 1\n'), ("colour", GOOD + "colour = 1\n"),
    *(("width", GOOD.replace("0.25", width)) for width in ("nan", "1e300", "'=1+1'")),
    ("synthetic", GOOD + "[settings]\nsynthetic = -5\n"),
    ("synthetic", GOOD + "[settings]\nsynthetic = 1000000000\n"),
]  # fmt: skip
AUTHORS = [
    ("TOML", 'name = "Wang'), ("TOML", "name = 'a\0b'\n"), ("TOML", "name = 'a'\nname = 'b'\n"),
    ("name", "name = 5\n"), ("name", "name = ['a']\n"), ("id", "id = 2026-01-01\n"),
    ("collaborators", "collaborators = 'a'\n"), ("collaborators", "collaborators = [1]\n"),
    ("collaborators", f"collaborators = {['x'] * 5000}\n"), ("email", "email = 'x'\n"),
    ("en", "name = { zh = 'a', fr = 'b' }\n"), ("en", "name = { zh = 'a' }\n"),
    ("name", "name = { zh = 'a', en = 'b', de = 'c' }\n"), ("letters", f"name = '{'x' * 10**5}'\n"),
    *(("control characters", f'name = "a\\u{code}b"\n') for code in ("0000", "001b", "202E")),
]  # fmt: skip


@pytest.mark.parametrize("reader", ["profile", "author"])
def test_settings(reader, place):
    for word, text in PROFILES if reader == "profile" else AUTHORS:
        refused(reader, written(place, READ[reader][0], text), READ[reader][0], word)


# at random: what a reader makes of any file is its result, or one line

ODD = (*WORDS, '"', "/etc", None, True, -1, 2**31, 2**63, 1e308, float("nan"), 48, 0.5)
KEYS = ("model", "width", "base", "seeds", "seed", "epochs", "lr", "flip", "name", "id",
        "collaborators", "synthetic", "validation", "zh")  # fmt: skip
HEADS = ("", "[recipes.a]", "[settings]", "[folds]", "[recipes]", "[[folds]]")


def odd(rng: np.random.Generator, depth: int = 2) -> object:
    """A value of JSON that nobody meant."""
    parts = [odd(rng, depth - 1) for _ in range(rng.integers(3) * (depth > 0))]
    kinds = [parts, {str(part)[:40]: part for part in parts}, *[ODD[rng.integers(len(ODD))]] * 4]
    return kinds[rng.integers(len(kinds))]


def replaced(values: dict, rng: np.random.Generator) -> dict:
    return {**values, list(values)[rng.integers(len(values))]: odd(rng)}


def odd_weights(rng: np.random.Generator) -> bytes:
    """Sound numbers under a header that says anything."""
    preprocessing = {"mean": 0.5, "std": 0.25, "in_channels": 1}
    said = {
        "format": odd(rng),
        "classes": odd(rng),
        "preprocessing": replaced(preprocessing, rng),
        "metadata": {"recipe": replaced(weights.RECIPE, rng)},
    }
    key = list(said)[rng.integers(4)]
    return weights.changed(weights.entry(key, said[key] if rng.random() < 0.7 else odd(rng)))


def odd_archive(rng: np.random.Generator) -> bytes:
    record = replaced(json.loads(runs.sealed()[runs.RECORD]), rng)
    return packed(*members({**runs.sealed(), runs.RECORD: json.dumps(record).encode()}))


def odd_toml(rng: np.random.Generator) -> bytes:
    lines = [f"{KEYS[rng.integers(len(KEYS))]} = {as_toml(odd(rng))}" for _ in range(3)]
    return "\n".join([HEADS[rng.integers(len(HEADS))], *lines]).encode("utf-8", "replace")


def as_toml(value: object) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(k)} = {as_toml(v)}" for k, v in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return str(value) if isinstance(value, float) else json.dumps(value)


MADE = {  # reader -> a sound file to damage, one that says odd things
    "weights": (weights.whole, odd_weights),
    "archive": (lambda: packed(*members()), odd_archive),
    "profile": (GOOD.encode, odd_toml),
    "author": (b"name = 'x'\ncollaborators = ['a']\n".strip, odd_toml),
}


@pytest.mark.parametrize("count", [25, pytest.param(1000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("reader", READ)
def test_any_file(reader, count, place):
    """Every exception but UserError is a fault of ours."""
    (name, read), (sound, make) = READ[reader], MADE[reader]
    rng = np.random.default_rng(0 if count == 25 else None)
    for data in (data for _ in range(count) for data in (damaged(sound(), rng), make(rng))):
        file = put(place / name, data)
        with contextlib.suppress(UserError):
            read(file)
            shutil.rmtree(place / "runs", ignore_errors=True)  # whose damage changed nothing
        assert [*place.iterdir()] == [file]


# what is never run, what is printed


@pytest.mark.parametrize("sealed", [False, True])
def test_a_checkpoint_runs_nothing(sealed, tmp_path):
    """The one file that torch reads as a pickle, and as weights only; its hash is no secret."""
    out = io.BytesIO()
    torch.save({"hash": "x", "device": Trap(tmp_path / "canary")}, out)
    data = out.getvalue()
    seal = hashlib.sha256(data).digest() if sealed else b""
    (tmp_path / "c").write_bytes(seal + data)
    with pytest.raises(UserError, match=r"checkpoint not usable.*delete it"):
        read_checkpoint(tmp_path / "c", Recipe(model="dense"), torch.device("cpu"))
    assert not (tmp_path / "canary").exists()


def test_the_library_reads_no_pickle_and_evaluates_no_text():
    """Looked up in its syntax: what is called, and with which arguments."""
    for file in sorted((ROOT / "hw3lib").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                names = {alias.name.split(".")[0] for alias in node.names}
                assert not names & {"pickle", "marshal", "shelve", "dill"}, f"{file.name}: {names}"
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            where = f"{file.name}, line {node.lineno}: {called}"
            assert called not in ("eval", "exec", "compile", "os.system", "yaml.load"), where
            assert given.get("shell", "False") == "False", where
            assert called != "torch.load" or given.get("weights_only") == "True", where
            assert called != "np.load" or given.get("allow_pickle") == "False", where


def test_messages_are_one_line_of_bounded_length():
    error = UserError("x\n\r\x1b[2J\u202e\u2028" + "名" * 5000 + "; fix it")
    assert not STEERS.search(str(error)) and len(str(error)) <= 1000
    assert str(error).endswith("; fix it") and str(error).startswith(r"x\n\r\x1b[2J\u202e\u2028名")
    assert printable("生氣\u3000é 😀") == "生氣\u3000é 😀"  # letters and blanks of any script stay


# the real command line


def test_a_process_of_its_own(place):
    """One of these as a shell sees it: status 2, one line, nothing written."""
    path = written(place, "runs.tar.gz", after(entry("../evil/record.json", b"{}")))
    with bounded(place.parents[3]):
        done = subprocess.run(
            [sys.executable, "-m", "hw3lib.cli", "runs", "unpack", str(path)],
            capture_output=True, encoding="utf-8", timeout=120,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("hw3: ") and done.stderr.count("\n") == 1
    assert NO_PART in done.stderr
