"""After the last chapter: the best network's hyperparameters, the machine, references, Recipes."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

from hw3lib import UserError
from hw3lib.report.document import Block, Chapter, numbered
from hw3lib.text import HYPERPARAMETERS, NETWORKS, Text, same, setting
from hw3lib.training.recipe import Recipe
from hw3lib.training.runs import Run

NAME, MUON = "appendix", "jordan2024muon"
SEED = re.compile(r"\.\d+$")  # of the Runs of one configuration: "small.0", "small.1"
UNUSED = ("none", "", 0, 0.0)
USED_BY = {"momentum": ("sgd", "muon"), "lr_rest": ("muon",)}  # optimisers


def appendix(
    runs: dict[str, Run], works: dict[str, str], machine: Text, number: int, *, folded: int = 0
) -> Chapter:
    """The last Chapter.

    works : key -> reference in their order, the last `folded` details
    """
    blocks = [_heading("超參數與訓練環境", "Hyperparameters and hardware")]
    if best := runs.get("best") or next(iter(runs.values()), None):
        blocks.append(_hyperparameters(best, cited=MUON in works))
    blocks.append(Block("markdown", NAME, machine))
    if runs:
        blocks.append(_scored(len({run.recipe for run in runs.values()})))
    if works:
        blocks += [_heading("參考文獻", "References")]
        blocks += [
            Block("work", NAME, same(f"\\[{n}\\] {work}"), number=str(n),
                  detail=n > len(works) - folded)
            for n, work in enumerate(works.values(), 1)
        ]  # fmt: skip
    if runs:
        blocks += [_heading("各訓練設定與結果", "Recipes and their Runs", detail=True), _runs(runs)]
    return Chapter(NAME, number, Text("附錄", "Appendix"), numbered(blocks, number))


def read_works(bibliography: Path) -> dict[str, str]:
    """Key -> entry as Markdown, of a BibTeX file, in the Chicago style of pandoc.

    Raises
    ------
    UserError
        if the file is missing or pandoc cannot read it.
    """
    import pypandoc

    options = ["--citeproc", "--bibliography", str(bibliography), "--wrap=none"]
    form = "markdown-bracketed_spans-native_spans-raw_html-raw_attribute-native_divs"
    try:
        listed = pypandoc.convert_text(
            '---\nnocite: "@*"\nlang: en\n---\n', form, format="markdown", extra_args=options
        )
    except RuntimeError as error:
        line = str(error).strip().splitlines()[-1]
        raise UserError(f"{bibliography}: pandoc cannot read it ({line})") from None
    found = re.findall(r"^:+ \{#ref-(\S+) [^}]*\}\n(.*?)\n:+$", listed, re.DOTALL | re.MULTILINE)
    return {key: " ".join(entry.split()) for key, entry in found}


def _hyperparameters(run: Run, *, cited: bool) -> Block:
    """In two columns of name and value, to take half the height; Muon with its reference."""
    recipe, said = run.recipe, []
    for name in dict.fromkeys([*HYPERPARAMETERS, *_changed(recipe)]):
        value = _value(recipe, name)
        off = (name != "seed" and value in UNUSED) or (name, value) == ("train_on", "train")
        off |= name == "label_smoothing" and recipe.distillation == 1  # the label has no share
        if name in HYPERPARAMETERS and off:
            continue
        if recipe.optimizer in USED_BY.get(name, (recipe.optimizer,)):
            said.append((HYPERPARAMETERS.get(name, same(name)), setting(value)))
    half = -(-len(said) // 2)
    said += [(Text("", ""),) * 2] * (2 * half - len(said))
    rows = [[*said[i], *said[half + i]] for i in range(half)]
    source = f"[@{MUON}]" if cited and recipe.optimizer == "muon" else ""
    caption = Text(
        f"最佳網路（訓練設定 `best`）的超參數，共訓練 {run.record['epochs_run']} 個週期；"
        f"未列出者為關閉或預設值{source and f'；Muon：{source}'}。",
        f"Hyperparameters of the best network (recipe `best`), trained for "
        f"{run.record['epochs_run']} epochs; anything not listed is off or at its "
        f"default{source and f'; Muon: {source}'}.",
    )
    columns = [Text("超參數", "hyperparameter"), Text("值", "value")] * 2
    shown = {"columns": columns, "rows": rows, "align": ["left"] * 4}
    return Block("table", NAME, caption, data=shown)


def _scored(trainings: int) -> Block:
    """How often the test set was looked at: whoever looks often enough finds a good figure."""
    said = Text(
        "測試集的使用次數：{n} 次訓練各在結束時評分一次，需要逐週期比較的，每個週期評分一次；"
        "錯誤注入、決策規則與濾波器消融各再分析一次；先前開發與重複的訓練也評過分"
        "（report/results、report/experiments.md）。設定、週期與門檻都不依測試分數選定，"
        "但設計後來的網路時，已知先前網路的測試分數；"
        "近似複本的門檻由檢視影像對而來；EM 以測試影像估計類別占比，不用標籤。",
        "How often the test set was scored: once at the end of each of the {n} training runs, "
        "after every epoch where epochs are compared, and again in the analyses of faults, "
        "decision rules and ablation; earlier and repeated runs were scored as well "
        "(report/results, report/experiments.md). No setting, epoch or decision threshold was "
        "chosen by a test score, but those of earlier networks were known when later ones were "
        "designed; the threshold of near copies came from inspecting pairs; EM "
        "estimates class shares from test images, without labels.",
    )
    return Block("markdown", NAME, said.format(n=trainings))


def _runs(runs: dict[str, Run]) -> Block:
    """Every Recipe with what it sets apart from the defaults and what became of it."""
    configurations: dict[str, list[Run]] = {}
    for name, run in runs.items():
        configurations.setdefault(SEED.sub("", name), []).append(run)
    columns = [
        Text("訓練設定", "recipe"), Text("模型", "model"), Text("與預設不同的值", "not default"),
        Text("種子數", "seeds"), Text("週期", "epochs run"), Text("採用週期", "epoch kept"),
        Text("秒", "seconds"), Text("雜湊", "hashes"),
    ]  # fmt: skip
    rows = []
    for name, seeds in configurations.items():
        records, recipe = [run.record for run in seeds], seeds[0].recipe
        settings = ", ".join(f"{k}={v}" for k, v in _changed(recipe).items())
        cells = [
            name, recipe.model, settings, len(seeds),
            _range([r["epochs_run"] for r in records]), _range([r["kept_epoch"] for r in records]),
            f"{sum(r['seconds'] for r in records):.0f}", " ".join(r.recipe.hash for r in seeds),
        ]  # fmt: skip
        rows.append([*map(same, cells)])
    caption = Text(
        "每組訓練設定與其執行結果：只差種子的合為一列，秒數為其總和。",
        "Every Recipe and what became of it: the seeds of one in a row, their seconds added up.",
    )
    align = ["left", "left", "left", *["right"] * 4, "left"]
    shown = {"columns": columns, "rows": rows, "align": align}
    return Block("table", NAME, caption, data=shown, detail=True)


def _changed(recipe: Recipe) -> dict[str, object]:
    """What a Recipe sets apart from the defaults, but for its data and its seed."""
    default = asdict(Recipe(model=recipe.model, data=recipe.data, seed=recipe.seed))
    return {k: _value(recipe, k) for k, v in asdict(recipe).items() if v != default[k]}


def _value(recipe: Recipe, name: str) -> object:
    """Of a field; of many teachers how many and what they are, instead of their Runs' names."""
    if name != "teacher" or not recipe.teacher:
        return getattr(recipe, name)
    first, *others = recipe.teacher.split()
    network, count = NETWORKS[first.rpartition("-")[0]], 1 + len(others)
    return Text(f"{count} 個{network.zh}", f"{count} × {network.en}")


def _range(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"


def _heading(zh: str, en: str, *, detail: bool = False) -> Block:
    return Block("heading", NAME, Text(zh, en), level=2, detail=detail)
