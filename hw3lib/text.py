"""Two languages from one source: the current language, the glossary, `tr` and `Text`.

A new class, rule, method or setting needs its word here. A third language starts at LANGUAGES and
Text and goes through every Text and `tr`, the notebooks, hw3lib/report and report/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from hw3lib import UserError

LANGUAGES = ("zh", "en", "both")
POWER = re.compile(r"(?<=\d)e([+-]\d+)\b")
RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_current = "both"

# The one glossary: every term is translated one way only, in prose, tables and figures.
GLOSSARY: dict[str, str] = {
    "Angry": "生氣",
    "Disgust": "厭惡",
    "Fear": "恐懼",
    "Happy": "高興",
    "Sad": "難過",
    "Surprise": "驚訝",
    "Neutral": "中立",
    "accuracy": "準確率",
    "loss": "損失",
    "epoch": "訓練週期",
    "class": "類別",
    "training": "訓練",
    "validation": "驗證",
    "test": "測試",
    "true class": "真實類別",
    "predicted class": "預測類別",
    "recall": "召回率",
    "precision": "精確率",
    "macro-F1": "Macro-F1",
    "balanced accuracy": "平衡準確率",
    "ensemble": "集成",
    "confidence": "信心",
    "decision rule": "決策規則",
    "gradient": "梯度",
    "Integrated Gradients": "積分梯度",
    "guided backprop": "導引反向傳播",
    "SmoothGrad": "SmoothGrad",
    "Grad-CAM": "Grad-CAM",
    "edges alone": "僅畫邊緣（負對照組）",
    "weight randomisation": "權重隨機化",
    "deletion": "刪除",
    "insertion": "插入",
    "faithfulness": "忠實度",
    "noise": "微小雜訊",
    "shift": "平移一像素",
    "random order": "隨機順序",
    "centred Gaussian": "置中高斯",
    "mean map of others": "其他影像的平均圖",
    "reliable": "可靠",
    "inconclusive": "無法判定",
    "unreliable": "不可靠",
    "our network": "我們的網路",
    "random weights": "隨機權重",
    "kernel": "卷積核",
    "response": "反應",
    "receptive field": "感受野",
    # what results are named by
    "parameters": "參數量",
    "share": "占比",
    "imbalance ratio": "不平衡比",
    "test accuracy": "測試準確率",
    "test accuracy without exact copies": "測試準確率（扣除複本）",
    "test accuracy without near copies": "測試準確率（再扣除近似複本）",
    "validation accuracy": "驗證準確率",
    "validation loss": "驗證損失",
    "augmentation": "擴增",
    "early stopping": "提早停止",
    "steps": "步驟",
    # decision rules
    "argmax": "取最大機率",
    "largest above its prior": "超過先驗者中取最大",
    "largest ratio to its prior": "與先驗比值最大者",
    "logit adjustment": "logit 調整",
    "per-class offsets": "各類別偏移",
    "least expected cost": "期望成本最小",
    "changed priors": "換先驗",
    "estimated shares (EM)": "估計占比（EM）",
    # stopping rules
    "last epoch": "最後一個週期",
    "patience 5": "耐心值 5",
    "patience 10": "耐心值 10",
    # faults, and what guards against each
    "training mode, images sorted by class": "推論時未切換到評估模式，影像依類別排序",
    "training mode, images shuffled": "推論時未切換到評估模式，影像隨機排列",
    "names of weights differ, loose loading": "權重名稱不符，非 strict 載入",
    "batch norm statistics not saved": "沒存批次正規化的統計量",
    "class ids from folder names": "類別編號依資料夾名稱排序",
    "scaled to [-1, 1]": "像素正規化到 [−1, 1]",
    "scaled to [0, 1] only": "像素只正規化到 [0, 1]",
    "not scaled (0 to 255)": "像素未正規化（0 到 255）",
    "uint8 overflow": "uint8 相減溢位",
    "rows and columns swapped": "影像轉置",
    "40×40 enlarged by nearest neighbour": "最近鄰放大 40×40 的影像",
    "encoded as JPEG once more": "再壓一次 JPEG",
    "files renumbered, read by position": "檔案重新編號，依順序輸出預測",
    "training and validation split again": "重新切分訓練集與驗證集",
    "always evaluation mode": "一律以評估模式計算",
    "weights load strictly": "一律以 strict 載入",
    "only uint8; scaling is in the weights file": "僅接受 uint8，正規化參數存於權重檔",
    "class names are in the weights file": "類別名稱存於權重檔",
    "floats before any arithmetic": "先轉成浮點數再算",
    "mean face must be symmetric": "讀取時檢查平均臉是否對稱",
    "one resizing for all reading paths": "訓練與推論共用同一個縮放函式",
    "none; hashed pixels, scored again": "無；雜湊值已變，會重新評分",
    "predictions go by id": "預測依影像編號對應",
    "recipe stores the split's hash": "訓練設定記錄切分的雜湊值",
    # figures of notebooks 07 and 08
    "gradient ascent": "梯度上升",
    "edge": "邊緣",
    "line or spot": "線條或斑點",
    "brightness": "亮度",
    "untrained": "未訓練",
    "top patches": "活化最強的影像區塊",
    "brows": "眉毛",
    "eyes": "眼睛",
    "nose": "鼻子",
    "mouth": "嘴巴",
    "outline": "臉部輪廓",
    "rest of the face": "其餘臉部",
    "background": "背景",
}

# Settings of a Recipe that are words, as tables show them.
SETTINGS: dict[str, str] = {
    "none": "無",
    "default": "依近似複本分組",
    "stratified": "依類別分層",
    "random": "隨機",
    "pictures": "逐張隨機",
    "train": "訓練集",
    "train+validation": "訓練集與驗證集",
    "dataset": "訓練集的平均與標準差",
    "inverse": "張數的倒數",
    "share": "占比",
    "count": "張數",
    "effective": "有效張數的倒數",
    "weighted": "除以權重之和",
    "mean": "除以張數",
    "shuffle": "隨機打亂",
    "balanced": "各類別機率相等",
    "sqrt": "與張數的平方根成正比",
    "auto": "依硬體",
    "horizontal": "水平",
    "vertical": "垂直",
    "constant": "固定",
    "onecycle": "OneCycle（先升後降）",
    "linear": "線性下降",
    "cosine": "餘弦下降",
    "last": "最後一個週期",
    "best": "驗證損失最低的週期",
}
ENGLISH = {  # where the key says too little
    "last": "last epoch",
    "best": "lowest validation loss",
    "shuffle": "random order",
    "onecycle": "one cycle (rises, then falls)",
    "linear": "linear decrease",
    "cosine": "cosine decrease",
}


@dataclass(frozen=True)
class Text:
    """A text in both languages; `str()` gives it in the current one."""

    zh: str
    en: str

    def __str__(self) -> str:
        return self.in_language(current_language())

    def in_language(self, language: str) -> str:
        if language == "both":
            return self.zh if self.zh == self.en else f"{self.zh} {self.en}"
        return getattr(self, language)

    def format(self, **values) -> Text:
        """Each language filled with the values in it; a str is looked up in the glossary."""
        said = {k: as_text(v) if isinstance(v, str) else v for k, v in values.items()}
        zh, en = (
            {k: getattr(v, code) if isinstance(v, Text) else v for k, v in said.items()}
            for code in ("zh", "en")
        )
        return Text(powers(self.zh.format(**zh)), powers(self.en.format(**en)))


NETWORKS: dict[str, Text] = {  # names in hw3lib.models.MODELS
    "resnet18": Text("ResNet-18（參考報告 A）", "ResNet-18 (reference report A)"),
    "two_conv": Text(
        "兩層卷積（參考報告 B 的起點）", "two convolutions (where reference report B began)"
    ),
    "two_conv_regularised": Text(
        "同上，加批次正規化與 Dropout", "the same with batch norm and dropout"
    ),
    "five_block": Text("五區塊 CNN（參考報告 B）", "five-block CNN (reference report B)"),
    "vgg16": Text("VGG-16（批次正規化）", "VGG-16 with batch norm"),
    "dense": Text("全連接網路", "fully connected network (MLP)"),
    "slim_resnet": Text("精簡殘差網路", "slim residual network"),
    "fine_resnet": Text("高解析殘差網路", "high-resolution residual network"),
}
OPTIMIZERS = {"sgd": "SGD", "adam": "Adam", "adamw": "AdamW", "muon": "Muon"}

RESULTS: dict[str, Text] = {  # parts of the names of results that are no words; "" is left out
    **dict.fromkeys(("data", "tricks", "saliency", "activation", "proof"), Text("", "")),
    "best": Text("最佳網路", "best network"),
    "vgg16": Text("VGG-16", "VGG-16"),
    "none": Text("不用技巧", "no tricks"),
    "smoothgrad": Text("SmoothGrad", "SmoothGrad"),
    "integrated_gradients": Text("積分梯度", "Integrated Gradients"),
    "similarity_half_randomised": Text(
        "一半權重隨機化後的等級相關", "rank correlation with half the weights randomised"
    ),
    "last_gain": Text("最後一層梯度上升的倍數", "gain by gradient ascent, last layer"),
    "ablation": Text("消融所損失的召回率（扣除隨機）", "recall lost by ablation, beyond random"),
    "largest_error": Text("最大相對誤差", "largest relative error"),
}


HYPERPARAMETERS: dict[str, Text] = {  # fields of a Recipe
    "model": Text("網路", "network"),
    "width": Text("寬度倍數", "width factor"),
    "train_on": Text("訓練資料", "trained on"),
    "train_limit": Text("訓練影像上限", "limit of training images"),
    "epochs": Text("訓練週期", "epochs"),
    "batch_size": Text("批次大小", "batch size"),
    "optimizer": Text("最佳化器", "optimiser"),
    "lr": Text("學習率", "learning rate"),
    "lr_rest": Text("學習率（非卷積核參數，SGD）", "learning rate (non-kernel parameters, SGD)"),
    "momentum": Text("動量（Nesterov）", "momentum (Nesterov)"),
    "weight_decay": Text("權重衰減", "weight decay"),
    "schedule": Text("學習率排程", "learning-rate schedule"),
    "ema": Text("權重指數移動平均（EMA）", "weight averaging (EMA)"),
    "label_smoothing": Text("標籤平滑", "label smoothing"),
    "teacher": Text("教師網路（知識蒸餾）", "teachers (distillation)"),
    "distillation": Text("蒸餾損失權重", "weight of the distillation loss"),
    "flip": Text("翻轉", "flip"),
    "shift": Text("平移（±像素）", "shift (± pixels)"),
    "rotate": Text("旋轉（±度）", "rotation (± degrees)"),
    "scale": Text("縮放（±比例）", "scaling (± fraction)"),
    "erase": Text("隨機遮擋（機率）", "random erasing (probability)"),
    "brightness": Text("亮度（±標準差）", "brightness (± standard deviations)"),
    "contrast": Text("對比（±比例）", "contrast (± fraction)"),
    "class_weight": Text("類別權重", "class weights"),
    "sampler": Text("抽樣", "sampling"),
    "patience": Text("提早停止（耐心值）", "early stopping (patience)"),
    "select": Text("採用的權重", "checkpoint"),
    "seed": Text("種子", "seed"),
}


def term(english: str) -> Text:
    """The glossary's entry; KeyError names a term that is not in it."""
    return Text(zh=GLOSSARY[english], en=english)


def as_text(value: object) -> Text:
    """A Text as it is, a word of the glossary in both languages, anything else the same in both."""
    if isinstance(value, Text):
        return value
    if isinstance(value, tuple):  # a column of a table with several header rows
        return Text(
            *(" ".join(t) for t in zip(*((x.zh, x.en) for x in map(as_text, value)), strict=True))
        )
    return Text(GLOSSARY.get(str(value), str(value)), str(value))


def same(value: object) -> Text:
    """A Text as it is, anything else the same in both languages."""
    return value if isinstance(value, Text) else Text(str(value), str(value))


def setting(value: object) -> Text:
    """A setting of a Recipe for a table: words in both languages, anything else as it is."""
    if isinstance(value, Text):
        return value
    if value in NETWORKS:
        return NETWORKS[value]
    if value in OPTIMIZERS:
        return same(OPTIMIZERS[value])
    shown = format(value, "g" if isinstance(value, float) else "," * isinstance(value, int))
    return Text(SETTINGS.get(shown, shown), ENGLISH.get(shown, shown))


def listing(texts: Iterable[Text | str]) -> Text:
    """Texts in a row: "a、b、c" and "a, b and c"."""
    texts = [as_text(t) for t in texts]
    *first, last = [t.en for t in texts] or [""]
    return Text(
        "、".join(t.zh for t in texts), " and ".join([", ".join(first), last] if first else [last])
    )


def powers(said: str) -> str:
    """1.5e-05 as one writes it: 1.5×10⁻⁵."""
    return POWER.sub(lambda m: f"×10{str(int(m[1])).translate(RAISED)}" if int(m[1]) else "", said)


def verdict(holds: bool) -> Text:
    """What the numbers say about a claim."""
    return Text("成立", "holds") if holds else Text("不成立", "does not hold")


def tr(zh: str, en: str) -> str:
    """The text in the current language: "zh en" where the language is "both"."""
    return str(Text(zh, en))


def current_language() -> str:
    return _current


def set_language(code: str) -> None:
    """The language of what is shown from now on: `tr`, `str(Text)` and figures speak it."""
    global _current
    _current = known_language(code)


def known_language(code: str) -> str:
    """The code; UserError where it is none of LANGUAGES."""
    if code not in LANGUAGES:
        raise UserError(f"language {code!r}: choose one of {', '.join(LANGUAGES)}")
    return code
