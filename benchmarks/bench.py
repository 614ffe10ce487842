"""Speed, measured side by side in one run and told as ratios; absolute times follow the machine."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from hw3lib import models
from hw3lib.data import load
from hw3lib.data.faces import CLASSES, Faces
from hw3lib.data.split import Split, split_faces
from hw3lib.models.network import Network
from hw3lib.training.augment import augment
from hw3lib.training.loop import Training, arithmetic, autocast, exact
from hw3lib.training.recipe import Recipe
from hw3lib.training.runs import device_of

AUGMENTED = Recipe(
    model="resnet18", flip="horizontal", shift=3, rotate=12, scale=0.1, batch_size=64,
    optimizer="adam", lr=1e-3, schedule="constant",
)  # fmt: skip


def run_bench(data: str = "") -> None:
    """Print the table: what, ours, the other, ratio."""
    faces, threads, device = load(data), os.cpu_count() or 1, torch.device(device_of())
    folds = split_faces(faces)
    few = 4096
    recipe = replace(AUGMENTED, threads=threads)
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    print(f"{name}, {threads} cores, torch {torch.__version__}, {arithmetic(recipe, device)}")
    print(f"{'':52} {'ours':>10} {'the other':>10}   ratio")
    torch.set_num_threads(threads)
    with tempfile.TemporaryDirectory() as folder:
        sample = faces.subset(folds.train[:few])
        root = write_image_folder(sample, Path(folder) / "faces")
        large = replace(recipe, batch_size=256)  # as in the recipe of `best`
        ours, theirs = our_pipeline(sample, large, device), their_pipeline(root, large)
        tell("input pipeline, images/s", few / ours, few / theirs, theirs / ours)
        # a token validation split, since the student's loop has none
        small = replace(folds, train=folds.train[:few], validation=folds.validation[:7])
        ours, theirs = our_epoch(recipe, small, device), their_epoch(root, device)
        tell(f"epoch of ResNet-18, {few} images, s", ours, theirs, theirs / ours)
        cold, warm = starts(root, Path(folder) / "cache")
        tell("start of the data, s (warm, cold)", warm, cold, cold / warm)
        score_files(faces, Path(folder), 7000)
    rate, peak = achieved_rate(recipe, device), matrix_rate(recipe, device)
    tell("ResNet-18 training, GFLOP/s (a matrix product's)", rate, peak, rate / peak)


def score_files(faces: Faces, folder: Path, n: int) -> None:
    """`hw3 predict best` on n JPEG files in the course's layout, from process start to CSV."""
    (folder / "test").mkdir()
    for i in range(n):
        image = Image.fromarray(np.asarray(faces.images[i % len(faces)]))
        image.save(folder / "test" / f"{i:05d}.jpg", quality=95)
    command = [sys.executable, "-m", "hw3lib.cli", "predict", "best", str(folder / "test")]
    for views, limit in (("one", 60.0), ("flip", 600.0), ("ten", 600.0)):
        environment = {**os.environ, "HW3_CACHE": str(folder / f"cache-{views}")}
        began = time.perf_counter()
        subprocess.check_output(
            [*command, "--views", views, "--out", str(folder / "p.csv")], env=environment
        )
        seconds = time.perf_counter() - began
        tell(f"{n} JPEG files to p.csv, views {views}, s (limit)", seconds, limit, limit / seconds)


def tell(what: str, ours: float, other: float, ratio: float) -> None:
    print(f"{what:52} {ours:10.2f} {other:10.2f}   x {ratio:.2f}", flush=True)


def best_of(action: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of the fastest of several repeats, after one that does not count."""
    action()
    return min(timeit.repeat(action, number=1, repeat=repeats))


def write_image_folder(faces: Faces, root: Path) -> Path:
    """The images as PNG files in class folders: what torchvision's ImageFolder reads."""
    for i, (image, label) in enumerate(zip(faces.images, faces.labels, strict=True)):
        file = root / "train" / CLASSES[label].lower() / f"{i:05d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.asarray(image)).save(file)
    return root


def our_pipeline(faces: Faces, recipe: Recipe, device: torch.device) -> float:
    """Seconds to normalise and augment all images, resident as uint8."""
    images = torch.from_numpy(np.ascontiguousarray(faces.images)).to(device)
    network = Network(torch.nn.Linear(1, 1).to(device), 0.5, 0.25)

    def once() -> None:
        generator = torch.Generator(device).manual_seed(0)
        for part in images.split(recipe.batch_size):
            augment(network.prepare(part), recipe, generator)
        wait(device)

    with exact(recipe, device):
        return best_of(once)


def student_loader(root: Path, batch_size: int):
    """ImageFolder, torchvision transforms, a DataLoader with as many workers as cores."""
    from torchvision import datasets, transforms

    steps = transforms.Compose(
        [
            transforms.Grayscale(),
            transforms.RandomHorizontalFlip(),
            transforms.RandomAffine(12, translate=(3 / 48, 3 / 48), scale=(0.9, 1.1)),
            transforms.ToTensor(),
            transforms.Normalize(0.5, 0.25),
        ]
    )
    data = datasets.ImageFolder(root / "train", steps)
    workers = os.cpu_count() or 1
    return torch.utils.data.DataLoader(
        data, batch_size, shuffle=True, num_workers=workers, persistent_workers=True
    )


def their_pipeline(root: Path, recipe: Recipe) -> float:
    loader = student_loader(root, recipe.batch_size)
    return best_of(lambda: [None for _ in loader])


def wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def our_epoch(recipe: Recipe, folds: Split, device: torch.device) -> float:
    with exact(recipe, device):
        return best_of(Training(recipe, folds, device).run_epoch, 2)


def their_epoch(root: Path, device: torch.device) -> float:
    """The loop a student would write: Adam, contiguous format, the loss read at every step."""
    loader, model = student_loader(root, AUGMENTED.batch_size), models.build("resnet18").to(device)
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)

    def once() -> float:
        model.train()
        total = 0.0
        for batch, labels in loader:
            batch, labels = batch.to(device), labels.to(device)
            loss = torch.nn.functional.cross_entropy(model(batch), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        return total

    return best_of(once, 2)


def starts(root: Path, cache: Path) -> tuple[float, float]:
    """Seconds of a fresh process's `load`, imports apart, first without and then with a cache."""
    code = (
        "import sys, time; from hw3lib.data import load; import numpy, PIL.Image;"
        "began = time.perf_counter(); load(sys.argv[1]).images.sum();"
        "print(time.perf_counter() - began)"
    )
    environment = {**os.environ, "HW3_CACHE": str(cache)}
    times = [
        float(subprocess.check_output([sys.executable, "-c", code, str(root)], env=environment))
        for _ in range(2)
    ]
    return times[0], times[1]


def achieved_rate(recipe: Recipe, device: torch.device) -> float:
    """GFLOP/s of forward and backward passes, counted by torch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode

    layout = torch.channels_last
    model = models.build(recipe.model).to(device, memory_format=layout)
    batch = torch.randn(recipe.batch_size, 1, 48, 48, device=device).to(memory_format=layout)

    def once() -> None:
        with autocast(recipe, device):
            out = model(batch)
        out.float().sum().backward()
        wait(device)

    with FlopCounterMode(display=False) as counter:
        once()
    return counter.get_total_flops() / best_of(once) / 1e9


def matrix_rate(recipe: Recipe, device: torch.device) -> float:
    """GFLOP/s of one large product in the same arithmetic."""
    n = 4096
    kind = torch.bfloat16 if arithmetic(recipe, device) == "bf16" else torch.float32
    a, b = torch.randn(2, n, n, device=device, dtype=kind)

    def once() -> None:
        a @ b
        wait(device)

    return 2 * n**3 / best_of(once, 5) / 1e9


if __name__ == "__main__":
    import typer

    typer.run(run_bench)
