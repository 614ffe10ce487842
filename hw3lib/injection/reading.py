"""Faults of reading: classes, scaling, orientation, resizing, encoding, ids and the split."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from hw3lib import UserError
from hw3lib.data.detect import read_source
from hw3lib.data.faces import CLASSES, SIZE, Faces
from hw3lib.data.folds import Folds, split_folds
from hw3lib.data.source import Source, list_files
from hw3lib.inference import normalize
from hw3lib.injection.case import Case, grey, normal, predict, raw_predict, right
from hw3lib.injection.loading import shuffled
from hw3lib.runs import get_run
from hw3lib.scoring import predict_faces


def folder_order(case: Case) -> np.ndarray:
    """Labels counted off from folder names in the alphabet's order, as ImageFolder does."""
    rank = np.argsort(np.argsort(CLASSES))
    return predict(case.network, case.faces.images) == rank[case.faces.labels]


def read_back(case: Case, images: np.ndarray) -> Faces:
    """Pictures (N, 48, 48) with the Case's labels, in class folders, through our reader."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        for i, (image, label) in enumerate(zip(images, case.faces.labels, strict=True)):
            file = Path(folder) / "test" / CLASSES[label].lower() / f"{i:05d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.ascontiguousarray(image)).save(file, compress_level=1)
        with Source(Path(folder), list_files(Path(folder))) as source:  # no copy in the cache
            return read_source(source)


def through_folders(case: Case) -> np.ndarray:
    read = read_back(case, case.faces.images)
    return predict(case.network, read.images) == read.labels


def scaled_otherwise(scale: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
    return lambda case: raw_predict(case, scale(grey(case)))


def floats(scale: Callable[[torch.Tensor], torch.Tensor]) -> Callable:
    return lambda case: right(case, predict(case.network, scale(grey(case))[:, 0].numpy()))


def minus_one_to_one(x: torch.Tensor) -> torch.Tensor:
    return x * 2 - 1


def as_it_is(x: torch.Tensor) -> torch.Tensor:
    return x


def times_255(x: torch.Tensor) -> torch.Tensor:
    return x * 255


def transposed(case: Case) -> np.ndarray:
    return raw_predict(case, normal(case, grey(case).transpose(2, 3)))


def read_transposed(case: Case) -> Faces:
    return read_back(case, case.faces.images.transpose(0, 2, 1))


def answer_transposed(case: Case) -> np.ndarray:
    read = read_transposed(case)
    return predict(case.network, read.images) == read.labels


def notice_transposed(case: Case) -> str:
    return "; ".join(read_transposed(case).problems)


def overflow(case: Case) -> np.ndarray:
    """The mean subtracted from unsigned bytes: what is darker wraps around to white."""
    wrapped = np.array(case.faces.images) - np.uint8(255 * case.network.mean)
    return raw_predict(case, torch.from_numpy(wrapped)[:, None].float() / 255 / case.network.std)


def bytes_in_floats(case: Case) -> np.ndarray:
    """Our normalisation against float64 arithmetic, then the prediction."""
    images = np.array(case.faces.images)
    exact = (images / 255 - case.network.mean) / case.network.std
    ours = normalize(torch.from_numpy(images), case.network)[:, 0].numpy()
    if not np.allclose(ours, exact, atol=1e-5):
        raise UserError("normalisation differs from float64 arithmetic")
    return right(case, predict(case.network, images))


def thumbnails(case: Case) -> list:
    """The pictures as another camera would deliver them: 40 x 40."""
    from PIL import Image

    return [
        Image.fromarray(np.asarray(image)).resize((40, 40), Image.Resampling.BICUBIC)
        for image in case.faces.images
    ]


def nearest(case: Case) -> np.ndarray:
    from PIL import Image

    faces = [np.asarray(p.resize((SIZE, SIZE), Image.NEAREST)) for p in thumbnails(case)]
    return right(case, predict(case.network, np.stack(faces)))


def our_resizing(case: Case) -> np.ndarray:
    from hw3lib.data.decode import to_face

    faces = np.stack([to_face(picture) for picture in thumbnails(case)])
    return right(case, predict(case.network, faces))


def jpeg(case: Case, quality: int = 75) -> np.ndarray:
    """(N, 48, 48) uint8 after one more JPEG encoding; 75 is Pillow's default."""
    from PIL import Image

    out = []
    for image in case.faces.images:
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(image)).save(buffer, "JPEG", quality=quality)
        out.append(np.asarray(Image.open(buffer)))
    return np.stack(out)


def jpeg_once_more(case: Case) -> np.ndarray:
    return right(case, predict(case.network, jpeg(case)))


def by_position(case: Case) -> np.ndarray:
    """The test folder re-numbered, its predictions handed in in the old order."""
    return predict(case.network, case.faces.images[shuffled(case)]) == case.faces.labels


def by_id(case: Case) -> np.ndarray:
    ids, probabilities = predict_faces(case.network, case.faces.subset(shuffled(case)))
    label_of = dict(zip(case.faces.ids.tolist(), case.faces.labels.tolist(), strict=True))
    return probabilities.argmax(axis=1) == np.array([label_of[name] for name in ids.tolist()])


def other_split(case: Case) -> Folds:
    return split_folds(case.folds.faces, seed=1)


def re_drawn(case: Case) -> np.ndarray:
    """Validation pictures of another cut: most of them were trained on."""
    held = other_split(case).take("validation")
    return predict(case.network, held.images) == held.labels


def refuse_other_split(case: Case) -> np.ndarray:
    get_run(case.run.recipe, other_split(case), root=case.run.path.parent, progress=False)
    return re_drawn(case)
