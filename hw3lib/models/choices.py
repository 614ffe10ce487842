"""Why each module is there, and which values are the hand-ins', a paper's, or ours."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hw3lib.models.five_block import FiveBlock
from hw3lib.models.resnet import SlimResNet
from hw3lib.models.two_conv import TwoConv
from hw3lib.text import Text

FIRST = Text("第一份作業", "hand-in 1")
SECOND = Text("第二份作業", "hand-in 2")
TORCHVISION = Text("torchvision（作業未寫明）", "torchvision (not stated in the hand-in)")
PAPER = Text("論文", "paper")
OURS = Text("我們", "ours")


@dataclass(frozen=True)
class Choice:
    """One module or value of a network: what it is, who chose it, and the reason."""

    module: Text
    value: Text
    source: Text
    reason: Text

    @property
    def ours(self) -> bool:
        """Neither a hand-in nor a paper states it."""
        return self.source in (OURS, TORCHVISION)


def _same(text: str) -> Text:
    return Text(text, text)


def _list(values: tuple) -> Text:
    return _same(", ".join(map(str, values)))


STAGES = Text("各階段通道數", "channels of the stages")
HE = Choice(
    Text("初始權重", "initial weights"),
    Text("He 常態，依輸出計", "He normal, fan-out"),
    OURS,
    Text(
        "ReLU 砍掉一半的輸入；以此變異數抽樣，訊號與梯度穿過各層時大小不變。",
        "ReLU cuts off half of its input; drawn with this variance, signal and gradient keep "
        "their size from layer to layer.",
    ),
)

NORM = Choice(
    Text("批次正規化", "batch norm"),
    Text("每個卷積之後", "after every convolution"),
    FIRST,
    Text(
        "每個通道拉回平均 0、標準差 1，再學自己的尺度：學習率可以大，批次的雜訊也抑制過度擬合。",
        "Brings each channel back to mean 0 and deviation 1, then learns a scale of its own: the "
        "learning rate can be large, and the noise of the batch works against overfitting.",
    ),
)

# fmt: off
RESNET18 = (
    Choice(Text("開頭", "stem"),
           Text("卷積、批次正規化、ReLU、最大池化", "conv, batch norm, ReLU, max pool"), FIRST,
           Text("先把影像縮成小圖，後面每層都便宜；代價是細紋先被抹掉。",
                "Shrinks the picture first, so that every later layer is cheap; fine wrinkles "
                "are the price.")),
    Choice(Text("開頭的卷積核", "kernels of the stem"),
           Text("卷積 7×7、步幅 2；池化 3×3、步幅 2", "conv 7×7, stride 2; pool 3×3, stride 2"),
           TORCHVISION,
           Text("48×48 一進來就成了 12×12：原本是為 224×224 設計的。",
                "48×48 becomes 12×12 at once: it was designed for 224×224.")),
    Choice(Text("殘差區塊", "residual block"),
           Text("卷積、批次正規化、ReLU、卷積、批次正規化，加上輸入，ReLU",
                "conv, batch norm, ReLU, conv, batch norm, plus the input, ReLU"), FIRST,
           Text("相加讓梯度原封不動地回傳；區塊只需學輸入之外的修正。",
                "The sum lets the gradient pass back unchanged; a block only learns a "
                "correction to its input.")),
    Choice(STAGES, _list((64, 128, 256, 512)), FIRST,
           Text("圖的邊長減半、通道加倍，各階段的計算量大致相同。",
                "Half the side, twice the channels: about the same arithmetic in every stage.")),
    Choice(Text("區塊的卷積核", "kernels of the blocks"),
           Text("3×3；後三個階段的第一個卷積步幅 2",
                "3×3; stride 2 in the first of each of the last three stages"), TORCHVISION,
           Text("兩個 3×3 的視野等於一個 5×5，參數卻較少，中間還多一次 ReLU。",
                "Two 3×3 see as far as one 5×5 with fewer parameters and one more ReLU.")),
    Choice(Text("捷徑的降採樣", "downsampling shortcut"),
           Text("1×1 卷積、批次正規化", "1×1 conv, batch norm"),
           Text("有無：第一份作業；大小：torchvision", "presence: hand-in 1; size: torchvision"),
           Text("形狀不同不能相加；除第一階段外，每個階段的開頭都需要它。",
                "Unequal shapes cannot be added; every stage but the first opens with one.")),
    Choice(Text("輸出層", "head"),
           Text("全域平均池化、線性層", "global average pool, linear layer"), TORCHVISION,
           Text("平均使位置不重要，也使參數少：只剩每個通道到每個類別一個權重。",
                "The mean makes position unimportant and parameters few: one weight from each "
                "channel to each class.")),
    NORM, HE,
)

FIVE_BLOCK = (
    Choice(Text("區塊 1–2", "blocks 1-2"),
           Text("5×5 卷積，通道少，丟棄率低，不池化",
                "5×5 conv, few channels, little dropout, no pooling"), SECOND,
           Text("作業的理由：表情要看細節，池化會失去細節。",
                "The hand-in's reason: expressions are in the details, and pooling loses them.")),
    Choice(Text("區塊 3–5", "blocks 3-5"),
           Text("3×3 卷積，通道多，丟棄率高，最大池化",
                "3×3 conv, more channels and dropout, max pooling"), SECOND,
           Text("作業的理由：加深以提高表達力，以丟棄法抑制過度擬合。",
                "The hand-in's reason: depth for expression, dropout against overfitting.")),
    Choice(Text("順序", "order"),
           Text("卷積→活化→批次正規化→最大池化→丟棄",
                "conv → activation → batch norm → max pool → dropout"), SECOND,
           Text("丟棄放在批次正規化之後，正規化的統計量才不受丟棄影響。",
                "Dropout after batch norm, so that its statistics do not feel the dropping.")),
    Choice(Text("批次正規化", "batch norm"), Text("每個區塊", "in every block"), SECOND,
           Text("作業的理由：減少內部共變數偏移，收斂較快。",
                "The hand-in's reason: less internal covariate shift, faster convergence.")),
    Choice(Text("活化函數", "activation"), _same("ReLU"), OURS,
           Text("便宜，正半邊梯度不衰減。",
                "Cheap, and its gradient does not fade on the positive side.")),
    Choice(Text("各區塊通道數", "channels of the blocks"), _list(FiveBlock.CHANNELS), OURS,
           Text("由少到多，每塊加倍；前兩塊在整張 48×48 上計算，通道多了太貴。",
                "Few to many, doubled each time; the first two run on the whole 48×48 map, "
                "where channels are dear.")),
    Choice(Text("各區塊丟棄率", "dropout of the blocks"), _list(FiveBlock.DROPOUT), OURS,
           Text("作業只說前低後高。", "The hand-in only says low, then more.")),
    Choice(Text("輸出層", "head"),
           Text(f"攤平、{FiveBlock.HIDDEN} 個隱藏單元、丟棄率 {FiveBlock.HEAD_DROPOUT}",
                f"flatten, {FiveBlock.HIDDEN} hidden units, dropout {FiveBlock.HEAD_DROPOUT}"),
           OURS,
           Text("作業只說是全連接層。這裡記得位置：嘴在下、眉在上。參數大半在此，所以也用丟棄。",
                "The hand-in only says dense. It remembers position: mouth below, brows above. "
                "Most parameters are here, hence the dropout.")),
    HE,
)

TWO_CONV = (
    Choice(Text("卷積與池化", "convolution and pooling"),
           Text("兩次卷積→ReLU→最大池化", "twice conv → ReLU → max pool"), SECOND,
           Text("作業的起點：訓練 99%，驗證約 50%。",
                "Where the hand-in began: 99% in training, about 50% in validation.")),
    Choice(Text("通道數與卷積核", "channels and kernels"),
           Text(", ".join(map(str, TwoConv.CHANNELS)) + "；5×5",
                ", ".join(map(str, TwoConv.CHANNELS)) + "; 5×5"), OURS,
           Text("作業沒有寫明；卷積核與五區塊的前兩塊相同。",
                "Not stated in the hand-in; the kernels are those of the five-block network's "
                "first two.")),
    HE,
)
TWO_CONV_REGULARISED = (
    *TWO_CONV[:2],
    Choice(Text("批次正規化與丟棄", "batch norm and dropout"),
           Text(f"每次卷積之後；丟棄率 {TwoConv.DROPOUT}",
                f"after each convolution; rate {TwoConv.DROPOUT}"), SECOND,
           Text("作業的第二步：過度擬合沒有了，卻變成擬合不足。",
                "The hand-in's second step: overfitting went, underfitting came.")),
    HE,
)

VGG16 = (
    Choice(Text("卷積層", "convolutions"),
           Text("十三個 3×3，五次最大池化", "thirteen 3×3, five max poolings"), PAPER,
           Text("小卷積核疊起來看得遠；最後一層的濾波器值得畫出來。",
                "Small kernels, stacked, see far; the filters of the last layer are worth "
                "drawing.")),
    Choice(Text("批次正規化", "batch norm"), Text("每個卷積之後", "after every convolution"),
           Text("torchvision 的 vgg16_bn", "torchvision's vgg16_bn"),
           Text("沒有捷徑的十六層，少了它很難從頭訓練。",
                "Sixteen layers without shortcuts hardly train from scratch without it.")),
    Choice(Text("輸出層的輸入", "input of the head"),
           Text("1×1（torchvision 為 7×7）", "1×1 (torchvision: 7×7)"), OURS,
           Text("48×48 經五次池化只剩 1×1；撐成 7×7 只是同一個數抄 49 遍。",
                "Five poolings leave 1×1 of 48×48; stretching it to 7×7 copies one number 49 "
                "times.")),
    Choice(Text("隱藏單元", "hidden units"), Text("512（論文為 4,096）", "512 (paper: 4,096)"),
           OURS,
           Text("七個類別用不到一千個類別的輸出層。",
                "Seven classes need no head for a thousand.")),
    HE,
)

DENSE = (
    Choice(Text("隱藏層", "hidden layers"),
           Text("兩層，批次正規化、ReLU、丟棄率 0.2", "two, batch norm, ReLU, dropout 0.2"), OURS,
           Text("與卷積網路相同的配件，只差卷積本身。",
                "The same fittings as the convolutional network, all but the convolution.")),
    Choice(Text("隱藏單元", "hidden units"),
           Text("由解二次方程式而來", "from solving a quadratic equation"), OURS,
           Text("參數量與同寬度的精簡殘差網路相同：要比的是結構，不是大小。",
                "As many parameters as the slim residual network of the same width: structure "
                "is compared, not size.")),
)

SLIM_RESNET = (
    Choice(Text("開頭", "stem"),
           Text("5×5 步幅 2，再 3×3 步幅 2", "5×5 stride 2, then 3×3 stride 2"), OURS,
           Text("圖的面積先縮為十六分之一；兩次縮小之間有 ReLU，不像一個大步幅的卷積一次就定了。",
                "A sixteenth of the area at once; a ReLU between the two steps leaves more to "
                "learn than one long stride.")),
    Choice(Text("殘差區塊", "residual blocks"), _list(SlimResNet.BLOCKS), OURS,
           Text("同樣的計算量，放在 6×6 與 3×3 的圖上可用較多通道；速度以雙核心 CPU 量過。",
                "The same arithmetic buys more channels on 6×6 and 3×3 maps; the speed was "
                "measured on two CPU cores.")),
    Choice(STAGES, _list(SlimResNet.CHANNELS), OURS,
           Text("都是 16 的倍數，剛好填滿 CPU 的向量暫存器。",
                "Multiples of 16, which fill the CPU's vector registers.")),
    Choice(Text("捷徑的降採樣", "downsampling shortcut"),
           Text("2×2 平均、1×1 卷積、批次正規化", "2×2 mean, 1×1 conv, batch norm"),
           Text("論文（ResNet-D）", "paper (ResNet-D)"),
           Text("步幅 2 的 1×1 卷積會丟掉四分之三的輸入，先平均則不會。",
                "A 1×1 convolution of stride 2 throws away three quarters of its input; the "
                "mean does not.")),
    Choice(Text("區塊最後的批次正規化", "last batch norm of a block"),
           Text("γ 從 0 開始", "γ starts at 0"),
           Text("論文（Goyal 等人，2017）", "paper (Goyal et al. 2017)"),
           Text("每個區塊一開始是恆等映射，學習率可以一開始就大。",
                "Every block starts as the identity, so the learning rate can be large from the "
                "start.")),
    Choice(Text("輸出層", "head"),
           Text("全域平均池化、丟棄率 0.2、線性層",
                "global average pool, dropout 0.2, linear layer"), OURS,
           Text("參數最少的輸出層；丟棄使它不倚賴單一通道。",
                "The head with fewest parameters; dropout keeps it from leaning on one channel.")),
    replace(NORM, source=OURS), HE,
)
# fmt: on

CHOICES: dict[str, tuple[Choice, ...]] = {
    "resnet18": RESNET18,
    "two_conv": TWO_CONV,
    "two_conv_regularised": TWO_CONV_REGULARISED,
    "five_block": FIVE_BLOCK,
    "vgg16": VGG16,
    "dense": DENSE,
    "slim_resnet": SLIM_RESNET,
    "fine_resnet": SLIM_RESNET,
}
TITLES: dict[str, Text] = {
    "resnet18": Text("ResNet-18（第一份作業）", "ResNet-18 (hand-in 1)"),
    "two_conv": Text("兩層卷積（第二份作業的起點）", "two convolutions (where hand-in 2 began)"),
    "two_conv_regularised": Text(
        "兩層卷積加批次正規化與丟棄", "two convolutions with batch norm and dropout"
    ),
    "five_block": Text("五區塊 CNN（第二份作業）", "five-block CNN (hand-in 2)"),
    "vgg16": Text("VGG-16（批次正規化）", "VGG-16 with batch norm"),
    "dense": Text("全連接網路", "dense network"),
    "slim_resnet": Text("精簡殘差網路（我們）", "slim residual network (ours)"),
    "fine_resnet": Text("高解析殘差網路（我們）", "residual network on finer maps (ours)"),
}
