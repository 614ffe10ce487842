"""Diagrams and histories."""

import pandas as pd
import pytest

from hw3lib.models import MODELS, build
from hw3lib.models.describe import trace
from hw3lib.plotting import diagram, history
from hw3lib.text import Text, language

NAMES = list(MODELS)


@pytest.mark.parametrize("name", NAMES)
def test_diagram_shows_every_unit_inside_an_a4_page(name):
    import matplotlib.pyplot as plt

    model = build(name)
    with language("en"):
        fig = diagram.block_diagram(model)
    (ax,) = fig.axes
    width, height = fig.get_size_inches()
    assert width <= 6.8 and height <= 9.5
    fig.canvas.draw()
    whole = ax.get_window_extent()
    texts = [t for t in ax.texts if t.get_text()]
    for text in texts:
        box = text.get_window_extent()
        assert whole.x0 <= box.x0 and box.x1 <= whole.x1, text.get_text()
        assert whole.y0 <= box.y0 and box.y1 <= whole.y1, text.get_text()
    written = "\n".join(t.get_text() for t in texts)
    for unit in trace(model):
        assert unit.ops == ("input",) or unit.ops[0].replace(" /", "/") in written
    assert written.count("\n") + 1 >= len(trace(model))
    plt.close(fig)


HISTORY = pd.DataFrame(
    {
        "epoch": [1, 2, 3],
        "train_loss": [1.9, 1.0, 0.2],
        "validation_loss": [1.8, 1.4, 1.7],
        "train_accuracy": [0.2, 0.6, 0.95],
        "validation_accuracy": [0.25, 0.5, 0.49],
    }
)


def test_histories_have_accuracy_on_the_left_and_loss_on_the_right():
    import matplotlib.pyplot as plt

    with language("en"):
        fig = history.histories({Text("甲", "a"): HISTORY, Text("乙", "b"): HISTORY})
    left, right = fig.axes[0], fig.axes[2]
    assert left.get_ylabel() == "accuracy" and fig.axes[3].get_ylabel() == "loss (nats)"
    drawn = {line.get_label(): list(line.get_ydata()) for line in left.lines + right.lines}
    for prefix, name in (("train", "training"), ("validation", "validation")):
        for kind in ("accuracy", "loss"):
            assert drawn[f"{name} {kind}"] == list(HISTORY[f"{prefix}_{kind}"])
    assert left.lines[2].get_xdata()[0] == 2  # the epoch of lowest validation loss
    assert left.get_ylim() == fig.axes[1].get_ylim() and right.get_ylim() == fig.axes[3].get_ylim()
    plt.close(fig)


def test_gaps_are_training_minus_validation_in_points():
    import matplotlib.pyplot as plt

    with language("en"):
        fig = history.gaps({Text("甲", "a"): HISTORY})
    assert fig.axes[0].lines[0].get_ydata() == pytest.approx([-5, 10, 46])
    plt.close(fig)


def test_size_bars_are_in_millions():
    import matplotlib.pyplot as plt

    with language("en"):
        fig = history.size_bars({Text("甲", "a"): (2_000_000, 30_000_000)})
    assert [ax.patches[0].get_width() for ax in fig.axes] == [2.0, 30.0]
    plt.close(fig)
