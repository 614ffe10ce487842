"""The networks: hand-in 1's, hand-in 2's, the two they are compared with, and our own.

Every network takes (B, in_channels, 48, 48) float pictures and gives (B, classes) logits. Every
ReLU is a module of its own, because attribution methods hook them one by one. `build` makes them
by name; `describe`, `trace` and `summarise` read a built one; `hw3lib.models.choices` says which
values are the hand-ins', which are ours, and why.
"""

from hw3lib.models.build import MODELS, build
from hw3lib.models.common import scaled
from hw3lib.models.dense import DenseNet, matched_dense
from hw3lib.models.describe import count_parameters, describe, multiply_adds
from hw3lib.models.five_block import FiveBlock
from hw3lib.models.resnet import ResNet18, SlimResNet
from hw3lib.models.timing import Step, training_step
from hw3lib.models.trace import Unit, summarise, trace
from hw3lib.models.vgg import VGG16

__all__ = [
    "MODELS",
    "VGG16",
    "DenseNet",
    "FiveBlock",
    "ResNet18",
    "SlimResNet",
    "Step",
    "Unit",
    "build",
    "count_parameters",
    "describe",
    "matched_dense",
    "multiply_adds",
    "scaled",
    "summarise",
    "trace",
    "training_step",
]
