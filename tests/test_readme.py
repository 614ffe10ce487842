"""What the README gives to copy works as it stands; the files that it names are there."""

from __future__ import annotations

import re

import matplotlib.pyplot as plt

from hw3lib.files import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_example_goes_from_images_to_saliency_maps(tmp_path, monkeypatch, capsys):
    (example,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    monkeypatch.setenv("HW3_RUNS", str(tmp_path))
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.close("all")
    for _ in range(2):
        exec(compile(example, "README.md", "exec"), {})
    first, second = re.findall(r"accuracy ([\d.]+%.*)", capsys.readouterr().out)
    assert first == second and len([p for p in tmp_path.iterdir() if p.is_dir()]) == 1
    assert len(plt.get_fignums()) == 6  # history, matrix, maps; twice
    plt.close("all")


def test_every_file_that_is_named_exists():
    for text in (README, (ROOT / "THREATS.md").read_text(encoding="utf-8")):
        named = re.findall(r"`(tests/[^`]+)`", text) + re.findall(r"\]\(([^:)]+)\)", text)
        assert named and not [name for name in named if not (ROOT / name).exists()]


def test_every_command_it_shows_exists():
    from typer.main import get_command

    from hw3lib.cli import app

    known = set(get_command(app).commands)
    used = set(re.findall(r"\bhw3 ([a-z]+)", README))
    assert used and used <= known, used - known
