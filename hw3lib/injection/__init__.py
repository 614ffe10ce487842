"""Fault injection: what makes accuracy fall without a word, done on purpose, one at a time.

Each Fault is measured twice: through a path that has it, and fed to ours, which answers as if
nothing had happened, refuses, or names the fault. The list is hand-in 2's two accidents (another
reading path, saving and re-loading) with every cause of them that we could think of.
"""

from hw3lib.injection import loading, reading
from hw3lib.injection.case import Case, Fault, Outcome, inject
from hw3lib.text import Text

__all__ = ["FAULTS", "Case", "Fault", "Outcome", "inject"]

EVAL = Text("logits 一律在評估模式下計算", "logits are always computed in evaluation mode")
STRICT = Text(
    "讀權重一律 strict，缺一個就拒絕", "weights load strictly, one missing name is refused"
)
UINT8 = Text(
    "只收 uint8，正規化寫在權重檔裡", "only uint8 is taken; the weights file holds the scaling"
)

FAULTS = (
    Fault(
        "train_mode_sorted",
        Text("訓練模式，影像依類別排序", "training mode, pictures sorted by class"),
        loading.training_mode(loading.by_class),
        loading.though_in_training_mode,
        EVAL,
    ),
    Fault(
        "train_mode_shuffled",
        Text("訓練模式，影像打散", "training mode, pictures shuffled"),
        loading.training_mode(loading.shuffled),
        loading.though_in_training_mode,
        EVAL,
    ),
    Fault(
        "non_strict",
        Text("權重名稱不符，非 strict 載入", "names do not fit, non-strict load"),
        loading.re_loaded(loading.renamed),
        loading.load_changed(loading.renamed),
        STRICT,
    ),
    Fault(
        "lost_statistics",
        Text("沒存批次正規化的統計量", "batch norm's statistics not saved"),
        loading.re_loaded(loading.without_statistics),
        loading.load_changed(loading.without_statistics),
        STRICT,
    ),
    Fault(
        "folder_order",
        Text("類別編號照資料夾名稱", "class ids from folder names"),
        reading.folder_order,
        reading.through_folders,
        Text(
            "類別依名稱對應，順序存在權重檔裡",
            "classes go by name; the weights file holds their order",
        ),
    ),
    Fault(
        "minus_one_to_one",
        Text("縮放到 [−1, 1]", "scaled to [−1, 1]"),
        reading.scaled_otherwise(reading.minus_one_to_one),
        reading.floats(reading.minus_one_to_one),
        UINT8,
    ),
    Fault(
        "zero_to_one",
        Text("只縮放到 [0, 1]", "scaled to [0, 1] only"),
        reading.scaled_otherwise(reading.as_it_is),
        reading.floats(reading.as_it_is),
        UINT8,
    ),
    Fault(
        "unscaled",
        Text("沒有縮放（0 到 255）", "not scaled (0 to 255)"),
        reading.scaled_otherwise(reading.times_255),
        reading.floats(reading.times_255),
        UINT8,
    ),
    Fault(
        "overflow",
        Text("uint8 相減溢位", "uint8 overflow"),
        reading.overflow,
        reading.bytes_in_floats,
        Text("先轉成浮點數再算", "floats before any arithmetic"),
    ),
    Fault(
        "transposed",
        Text("行列互換", "rows and columns swapped"),
        reading.transposed,
        reading.answer_transposed,
        Text(
            "讀取時檢查平均臉是否左右對稱",
            "on reading, the mean face must be symmetric left to right",
        ),
        reading.notice_transposed,
    ),
    Fault(
        "nearest",
        Text("用最近鄰放大 40 × 40 的影像", "40 × 40 pictures enlarged by nearest neighbour"),
        reading.nearest,
        reading.our_resizing,
        Text("所有讀取路徑共用一種縮放", "one resizing for every reading path"),
    ),
    Fault(
        "jpeg",
        Text("再壓一次 JPEG", "encoded as JPEG once more"),
        reading.jpeg_once_more,
        reading.jpeg_once_more,
        Text(
            "擋不住；但像素的摘要變了，會重新評分",
            "none; but the pixels' digest differs, so a Run is scored anew",
        ),
    ),
    Fault(
        "by_position",
        Text("測試檔重新編號，預測卻照位置交", "test files re-numbered, predictions by position"),
        reading.by_position,
        reading.by_id,
        Text("預測一律依編號", "predictions go by id"),
    ),
    Fault(
        "re_drawn",
        Text("重抽訓練與驗證的切分", "training and validation cut anew"),
        reading.re_drawn,
        reading.refuse_other_split,
        Text("訓練配方記得切分的指紋", "a Recipe knows the cut's fingerprint"),
    ),
)
