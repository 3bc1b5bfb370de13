import dataclasses
import html.parser
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pybench.published import PublishedTable, load
from pybench.published.dashcam_collision import ASL, BCE, BFL, CE, FL
from pybench.report import markdown, save
from pybench.report.leaderboard import Board, Row, build
from pybench.report.markup import el, visible
from pybench.report.selection import STAMP as STAMP_OF_CHOICE
from pybench.report.words import ADJUSTED, number
from pybench.result import Result
from pybench.stats import mean_interval, paired_t
from pybench.store import Record, Store
from pybench.suite import Refusal
from pybench.tasks import TaskMeta
from pybench.trial import Budget, Split, Trial, trial_id

CLASSES = ("no collision", "ego", "others")
COUNTS = (60, 20, 12)
LABELS = np.repeat(np.arange(3), (30, 10, 6))
BALANCED = np.concatenate([np.arange(6), np.arange(30, 36), np.arange(40, 46)])
META = TaskMeta(
    title="Dash-cam collisions",
    kind="classes",
    inputs="clips",
    source="simulated traffic",
    licence="MIT",
    revision=1,
    headline="macro_f1",
    headline_split="test/balanced",
    models=("small3d",),
    metrics=("macro_f1", "recall", "average_precision", "roc_auc"),
    budget=Budget(),
    trial_s=1.0,
    published="dashcam_collision",
)
HOSTILE = (
    "<script>alert(1)</script>",
    "\"'><img src=x onerror=alert(1)>",
    "\u202eelbat eht esrever\u202c | `x` *y*",
    "x" * 10_000,
)
STAMP = {"cpu": "Example CPU", "cores": 2, "torch": "2.15", "git_sha": "abc", "dirty": False}
LEVELS = {CE: 0.62, BCE: 0.66, FL: 0.60, BFL: 0.61, ASL: 0.63}


def predictions() -> pl.DataFrame:
    subsets = [["natural", "balanced"] if i in BALANCED else ["natural"] for i in range(46)]
    return pl.DataFrame(
        {
            "sample": range(46),
            "split": ["test"] * 46,
            "subsets": pl.Series(subsets, dtype=pl.List(pl.String)),
            "label": LABELS,
            "logits": pl.Series(np.eye(3)[LABELS].tolist(), dtype=pl.List(pl.Float32)),
        }
    )


def metric_rows(value: float, spread: np.ndarray, val: float) -> list[dict[str, object]]:
    def row(metric: str, of: str, number: float) -> dict[str, object]:
        return {
            "split": "test/balanced",
            "metric": metric,
            "class": of,
            "value": float(number),
            "unit": "",
            "higher_is_better": True,
            "n": 18,
        }

    rows = [row("macro_f1", "", value), row("roc_auc", "", value + 0.2)]
    for place, of in enumerate(CLASSES):
        level = min(1.0, max(0.0, value + 0.25 - 0.2 * place + spread[place]))
        rows += [row("recall", of, level), row("average_precision", of, level)]
    return [*rows, {**row("macro_f1", "", val), "split": "val"}]


class Results:
    """A store that is filled by a line per trial."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder)

    def done(
        self, trial: Trial, value: float, rng: np.random.Generator, val: float | None = None
    ) -> None:
        result = Result(
            trial,
            metric_rows(value, rng.normal(0, 0.02, 3), value + 0.05 if val is None else val),
            predictions(),
            pl.DataFrame({"epoch": [0], "train_loss": [1.0], "val_macro_f1": [0.5]}),
            facts={
                "classes": list(CLASSES),
                "train_counts": list(COUNTS),
                "part_sizes": {"val": 46, "test/balanced": 18},
                "provenance": "generated",
                "problems": [],
                "train_s": 3.25,
                "gradient_norm_0": 0.7,
            },
        )
        assert self.store.publish(trial_id(trial, "code"), result, STAMP)

    def failed(self, trial: Trial, reason: str) -> None:
        id = trial_id(trial, "code")
        assert self.store.publish_failure(id, trial, "nan", reason, "", STAMP)

    def board(self, **meta: Any) -> Board:
        return board_of(self.store.records(), **meta)


def board_of(records: Iterable[Record], **meta: Any) -> Board:
    return build(
        records,
        {"collision": dataclasses.replace(META, **meta)},
        suite="quick",
        command="pybench report quick",
        created="2030-01-02 03:04 UTC",
        refused=[Refusal("collision", "mil", "n/a: a bag loss compares bags of snippets")],
        missing=3,
    )


def trial(loss: str, seed: int = 0, **fields: Any) -> Trial:
    given = {"model": "small3d", **fields}
    return Trial(task="collision", data="d0", loss=loss, seed=seed, **given)


def fill(results: Results, seeds: int = 5) -> None:
    """Five losses of the paper, a step, two samplers; one trial of the last row failed."""
    rng = np.random.default_rng(7)
    shared = rng.normal(0, 0.02, seeds)
    rows: list[tuple[str, dict[str, Any], float]] = [
        (loss, {}, level) for loss, level in LEVELS.items()
    ]
    rows += [
        (CE, {"steps": ("logit_adjustment",)}, 0.665),
        (CE, {"sampler": "class_balanced"}, 0.64),
        (CE, {"sampler": "random_over"}, 0.5),
    ]
    for loss, fields, level in rows:
        for seed in range(seeds):
            one = trial(loss, seed, **fields)
            if fields.get("sampler") == "random_over" and seed == 3:
                results.failed(one, "loss must be finite, got nan in epoch 2; lower the rate")
            else:
                results.done(one, level + shared[seed] + rng.normal(0, 0.008), rng)


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Board:
    results = Results(tmp_path_factory.mktemp("store"))
    fill(results)
    return results.board()


@pytest.fixture(scope="module")
def folder(board: Board, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report")
    save(board, path)
    return path


def row_of(board: Board, name: str) -> Row:
    return next(row for row in board.tasks[0].rows if row.name == name)


def test_a_row_has_the_mean_and_interval_of_its_stored_values(board: Board) -> None:
    row = row_of(board, BCE)
    expected = mean_interval([v for v in row.values if v is not None])
    assert (row.mean, row.low, row.high, row.n_seeds) == expected
    assert row.seeds == tuple(f"seed {k}" for k in range(5))


def test_rows_stand_best_first_with_ranks_that_hold_their_place(board: Board) -> None:
    rows = board.tasks[0].rows
    means = [row.mean for row in rows if row.mean is not None]
    assert means == sorted(means, reverse=True)
    for place, row in enumerate(rows, start=1):
        assert row.rank_low is not None
        assert row.rank_high is not None
        assert row.rank_low <= place <= row.rank_high


def test_lower_is_better_turns_the_order_around(tmp_path: Path) -> None:
    results = Results(tmp_path)
    fill(results)
    turned = [
        dataclasses.replace(
            record, metrics=[{**m, "higher_is_better": False} for m in record.metrics]
        )
        for record in results.store.records()
    ]
    up, down = results.board().tasks[0].rows, board_of(turned).tasks[0].rows
    assert [row.name for row in down] == [row.name for row in up][::-1]


def test_a_failed_trial_is_counted_and_its_reason_is_shown_everywhere(
    board: Board, folder: Path
) -> None:
    row = row_of(board, "ce @ random_over")
    assert (row.failures, row.n_seeds, row.values[3]) == (1, 4, None)
    assert row.failure_reasons == ("1 x loss must be finite, got nan in epoch 2; lower the rate",)
    assert "1 of 40 trials failed." in board.tasks[0].summary
    for name in ("leaderboard.md", "leaderboard.html"):
        assert "1 of 5" in (folder / name).read_text()
    assert "got nan in epoch 2" in (folder / "leaderboard.html").read_text()


def test_a_row_of_failures_alone_is_last_without_a_rank(tmp_path: Path) -> None:
    results = Results(tmp_path)
    fill(results)
    for seed in range(5):
        results.failed(trial("poly1", seed), "worker was killed")
    row = results.board().tasks[0].rows[-1]
    assert (row.name, row.mean, row.rank_low, row.tie, row.failures) == (
        "poly1",
        None,
        None,
        None,
        5,
    )
    assert markdown.terminal(results.board()).count("5 of 5") == 1


def test_a_board_without_any_finished_trial_says_so(tmp_path: Path) -> None:
    results = Results(tmp_path / "store")
    results.failed(trial(CE), "worker was killed")
    save(results.board(), tmp_path)
    assert "nothing to rank" in (tmp_path / "leaderboard.html").read_text()


def test_one_seed_gives_values_and_no_letters(tmp_path: Path) -> None:
    results = Results(tmp_path)
    fill(results, seeds=1)
    task = results.board().tasks[0]
    assert task.resolution is None
    assert {row.tie for row in task.rows} == {None}
    assert {row.low for row in task.rows} == {None}
    assert "too few repetitions to rank" in task.summary[0]


def test_the_json_has_every_key_others_rely_on(folder: Path) -> None:
    value = json.loads((folder / "leaderboard.json").read_text())
    assert set(value) >= {"rows", "floors", "resolution", "papers", "na", "command", "created"}
    wanted = (
        "task loss sampler model transform counts steps name metric split mean low high n_seeds "
        "seeds values rank_low rank_high tie failures failure_reasons data per_class_recall "
        "other_metrics train_s"
    ).split()
    assert len(value["rows"]) == 8
    for row in value["rows"]:
        assert set(row) >= set(wanted)
    for verdict in value["papers"]:
        assert set(verdict) >= {"paper", "table", "cell", "printed", "ours", "verdict"}
    assert value["na"] == [
        {
            "task": "collision",
            "row": "mil",
            "reason": "n/a: a bag loss compares bags of snippets",
        }
    ]


def test_the_majority_floor_is_the_score_of_the_largest_class(board: Board) -> None:
    # Always class 0 on 6 samples per class: F1 is 2*6/(18+6) there and 0 elsewhere.
    assert board.tasks[0].floors["majority"] == pytest.approx(0.5 / 3)


def test_the_prior_floor_is_near_its_closed_form(board: Board) -> None:
    # Expected counts: p of each class's 6 samples hit, 18 p are predicted.
    p = np.array(COUNTS) / sum(COUNTS)
    assert board.tasks[0].floors["prior"] == pytest.approx(
        np.mean(2 * 6 * p / (6 + 18 * p)), abs=0.02
    )


def test_baselines_are_listed_as_floors_with_their_row_means(board: Board) -> None:
    for name in (CE, ADJUSTED):
        assert board.tasks[0].floors[name] == row_of(board, name).mean


def test_the_best_other_row_is_paired_with_logit_adjustment(board: Board) -> None:
    task = board.tasks[0]
    baseline = row_of(board, ADJUSTED)
    assert task.against_adjusted == paired_t(
        np.array(task.rows[1].values, float), np.array(baseline.values, float)
    )


def test_the_first_sentence_names_every_row_that_ties_for_first(board: Board) -> None:
    task = board.tasks[0]
    first = [row.name for row in task.rows if row.rank_low == 1]
    assert 1 < len(first) < 5
    for name in first:
        assert name in task.summary[0]
    assert f"under about {number(task.resolution)}" in " ".join(task.summary)


def test_what_varies_is_said_in_words(tmp_path: Path) -> None:
    results = Results(tmp_path)
    rng = np.random.default_rng(0)
    for fold in range(3):
        for loss in (CE, FL):
            results.done(trial(loss, fold, split=Split(fold, 3)), rng.uniform(0.5, 0.6), rng)
    task = results.board().tasks[0]
    assert task.varies == ("varies: 3 test folds, 3 training seeds; fixed: split seed, subset")
    assert task.rows[0].seeds[1] == "fold 1, seed 1"


def test_another_budget_makes_another_row(tmp_path: Path) -> None:
    results = Results(tmp_path)
    rng = np.random.default_rng(0)
    for seed in range(3):
        results.done(trial(CE, seed), 0.6, rng)
        results.done(trial(CE, seed, budget=Budget(epochs=2)), 0.5, rng)
    assert [row.n_seeds for row in results.board().tasks[0].rows] == [3, 3]


def test_a_trial_given_twice_is_refused(tmp_path: Path) -> None:
    results = Results(tmp_path)
    fill(results, seeds=1)
    records = list(results.store.records())
    with pytest.raises(ValueError, match="different trials"):
        board_of([*records, records[0]])


def test_a_task_nobody_described_is_refused(tmp_path: Path) -> None:
    results = Results(tmp_path)
    fill(results, seeds=1)
    with pytest.raises(ValueError, match="got none for"):
        build(results.store.records(), {}, suite="s", command="c", created="now")


def verdict(board: Board, cell: str) -> str:
    return next(v.verdict for v in board.tasks[0].verdicts if v.cell == cell)


def test_a_printed_cell_is_not_compared_with_generated_data(board: Board) -> None:
    assert verdict(board, "R3D_18, CE") == "not comparable: generated data, other model"


def test_orders_of_the_paper_are_judged_by_our_tie_groups(board: Board) -> None:
    assert verdict(board, "R3D_18: BCE above FL") == "order agrees"
    assert verdict(board, "R3D_18: FL above BFL") == "cannot tell"
    assert verdict(board, "I3D, class 0: every loss performs well").startswith("cannot tell")


def test_an_order_that_ours_reverses_is_contradicted(tmp_path: Path) -> None:
    results = Results(tmp_path)
    rng = np.random.default_rng(1)
    for loss in LEVELS:
        for seed in range(5):
            level = 0.8 if loss == BFL else 0.5
            results.done(trial(loss, seed), level + rng.normal(0, 0.01), rng)
    board = results.board()
    assert verdict(board, "R3D_18: CE above BFL") == "order contradicts"
    assert verdict(board, "BCE, ASL and CE are above FL in AUC on both models") == (
        "order contradicts in 3 of 6"
    )


def test_a_loss_that_was_not_run_leaves_its_orders_open(tmp_path: Path) -> None:
    results = Results(tmp_path)
    rng = np.random.default_rng(1)
    for seed in range(5):
        results.done(trial(CE, seed), 0.5, rng)
    board = results.board()
    assert verdict(board, "I3D, ASL") == "not run"
    assert verdict(board, "I3D: CE above FL") == f"cannot tell: {FL} not run"


def test_orders_one_rounding_step_apart_are_not_claimed() -> None:
    table = PublishedTable(
        "T", "t", "%", 1, ("M",), ("m",), ("A", "B", "C"), ("a", "b", "c"), ((80, 79, 77),)
    )
    assert [claim.text for claim in table.orders()] == ["M: A above C", "M: B above C"]


def test_a_table_with_a_missing_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="1 rows of 2"):
        PublishedTable("T", "t", "%", 1, ("M",), ("m",), ("A", "B"), ("a", "b"), ((80,),))


def test_the_findings_are_those_of_the_printed_numbers() -> None:
    text = " ".join(load("dashcam_collision").findings)
    for fact in ("make 2509", "27 too many", "63.6%", "3.76", "3 to 6 points under CE"):
        assert fact in text


def test_an_unknown_paper_is_refused() -> None:
    with pytest.raises(ValueError, match="must name a module"):
        load("nothing")


def swept(folder: Path, paper_selection: bool) -> Board:
    """Three gammas; the second is best on validation in seed 0, the third in 1; the first on test.

    One more loss of two rows is no sweep.
    """
    results, rng = Results(folder), np.random.default_rng(0)
    val = {1: (0.1, 0.1), 2: (0.9, 0.2), 3: (0.3, 0.8)}
    for gamma, of in val.items():
        for seed in range(2):
            one = trial(f"focal(gamma={gamma})", seed)
            results.done(one, (0.7, 0.5, 0.6)[gamma - 1] + 0.01 * seed, rng, of[seed])
    for spec in ("ce", "ce(smoothing=0.1)"):
        results.done(trial(spec), 0.4, rng)
    return build(
        results.store.records(),
        {"collision": META},
        suite="x",
        command="x",
        created="",
        paper_selection=paper_selection,
    )


def test_parameters_of_a_sweep_are_chosen_on_validation_by_repetition(tmp_path: Path) -> None:
    board = swept(tmp_path, False)
    (said,) = [line for line in board.tasks[0].summary if "chosen" in line]
    assert "focal with parameters chosen on val by repetition" in said
    assert "focal(gamma=2) 1, focal(gamma=3) 1" in said
    assert f"reaches {number((0.5 + 0.61) / 2)} on test/balanced" in said
    assert board.to_json()["paper_selection"] is False


def test_a_choice_on_the_reported_split_is_stamped_everywhere(tmp_path: Path) -> None:
    board = swept(tmp_path / "store", True)
    said = " ".join(board.tasks[0].summary)
    assert "focal(gamma=1) 2) reaches 0.705 on test/balanced" in said
    save(board, tmp_path / "board")
    for name in ("leaderboard.md", "leaderboard.html", "leaderboard.json"):
        assert STAMP_OF_CHOICE in (tmp_path / "board" / name).read_text()
    assert STAMP_OF_CHOICE in markdown.terminal(board)
    assert board.to_json()["paper_selection"] is True


def test_the_same_records_give_the_same_bytes(tmp_path: Path) -> None:
    results = Results(tmp_path / "store")
    fill(results)
    records = list(results.store.records())
    for place, order in (("a", records), ("b", records[::-1])):
        save(board_of(order), tmp_path / place)
    for name in ("leaderboard.html", "leaderboard.md", "leaderboard.json"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


class Page(html.parser.HTMLParser):
    """What a page consists of: tags with attributes, and whether they are closed in order."""

    VOID = frozenset({"meta", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check_page(text: str) -> None:
    page = Page(text)
    assert page.open == []
    assert [tag for tag, _ in page.tags].count("script") == 1
    for tag, attributes in page.tags:
        assert tag not in {"img", "link", "iframe", "object", "base"}
        assert not any(key.startswith("on") or key in ("src", "href") for key in attributes)


def test_the_page_loads_nothing_and_pins_its_script(folder: Path) -> None:
    text = (folder / "leaderboard.html").read_text()
    check_page(text)
    assert not re.search(r"https?://|url\(|@import", text)
    assert "default-src 'none'" in text
    assert "unsafe-eval" not in text


def hostile(tmp_path: Path) -> Board:
    results = Results(tmp_path / "hostile")
    rng = np.random.default_rng(0)
    for name in (CE, *HOSTILE):
        for seed in range(3):
            results.done(trial(name, seed, model=HOSTILE[0]), rng.uniform(0.5, 0.7), rng)
        results.failed(trial(name, 3, model=HOSTILE[0]), HOSTILE[1] + HOSTILE[2])
    return results.board(title=HOSTILE[0], source=HOSTILE[1], licence=HOSTILE[2])


def test_hostile_names_stay_text_in_every_form(tmp_path: Path) -> None:
    save(hostile(tmp_path), tmp_path)
    page = (tmp_path / "leaderboard.html").read_text()
    check_page(page)
    assert "\u202e" not in page
    text = (tmp_path / "leaderboard.md").read_text()
    assert "<" not in text
    assert "\u202e" not in text
    table = [line for line in text.splitlines() if line.startswith("| 1")]
    assert len(table) == 5
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {9}


@given(st.text(), st.text())
def test_an_element_gives_back_its_text_and_attribute(text: str, attribute: str) -> None:
    class Reader(html.parser.HTMLParser):
        text = ""
        title: str | None = ""

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            self.title = dict(attrs)["title"]

        def handle_data(self, data: str) -> None:
            self.text += data

    reader = Reader()
    reader.feed(el("p", text, title=attribute))
    reader.close()
    assert reader.text == visible(text)
    assert reader.title == visible(attribute)


def test_markdown_and_terminal_show_every_row(board: Board, folder: Path) -> None:
    text = (folder / "leaderboard.md").read_text()
    shown = markdown.terminal(board)
    for row in board.tasks[0].rows:
        assert row.name in shown
        assert f"| {number(row.mean)} |" in text
    assert max(map(len, shown.splitlines()[6:16])) <= 140


def test_markdown_says_what_the_printed_numbers_say_by_themselves(folder: Path) -> None:
    text = (folder / "leaderboard.md").read_text()
    paper = load("dashcam_collision")
    assert text.count("\n- ") == len(paper.findings) > 0
    assert "Not stated in the paper: " in text


def test_two_hundred_rows_stay_small(tmp_path: Path) -> None:
    results = Results(tmp_path / "store")
    fill(results)
    records = list(results.store.records())
    many = [
        dataclasses.replace(r, trial=dataclasses.replace(r.trial, loss=f"{r.trial.loss} + m{k}"))
        for k in range(25)
        for r in records
    ]
    board = board_of(many)
    assert len(board.tasks[0].rows) == 200
    save(board, tmp_path)
    assert (tmp_path / "leaderboard.html").stat().st_size < 1_300_000


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium on PATH")
@pytest.mark.parametrize("make", [lambda path: None, hostile], ids=["plain", "hostile"])
def test_a_browser_opens_the_page_without_a_word(
    make: Callable[[Path], Board | None], board: Board, tmp_path: Path
) -> None:
    save(make(tmp_path) or board, tmp_path)
    probe = (
        "for (const b of document.querySelectorAll('.sort')) b.click();"
        "document.querySelector('.open').click();"
        "const f = document.querySelector('input'); f.value = 'focal';"
        "f.dispatchEvent(new Event('input'));"
        "document.title = [...document.querySelectorAll('tbody[data-text]')]"
        ".filter((r) => !r.hidden).length + ' shown, ' "
        "+ document.querySelectorAll('.more.shown').length + ' open';"
    )
    done = dump_dom(tmp_path / "leaderboard.html", probe, tmp_path)
    assert not re.search(r"CONSOLE", done.stderr)
    shown = 2 if make is not hostile else 0
    assert f"<title>{shown} shown, 1 open</title>" in done.stdout


def dump_dom(path: Path, probe: str, work: Path) -> "subprocess.CompletedProcess[str]":
    """Open a page, act on it as a reader would, and return what it then consists of."""
    text = path.read_text()
    script = re.search(r"<script>(.*)</script>", text, re.S)
    assert script is not None
    # The page's policy allows its own script alone, so the probe joins it under a new hash.
    acting = with_script(text, script[1], script[1] + probe)
    path.write_text(acting)
    command: Sequence[str] = [
        str(CHROMIUM),
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--enable-logging=stderr",
        f"--user-data-dir={work / 'profile'}",
        "--dump-dom",
        path.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)


def with_script(text: str, old: str, new: str) -> str:
    import base64
    import hashlib

    def digest(script: str) -> str:
        return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()

    assert text.count(digest(old)) == 1
    return text.replace(digest(old), digest(new)).replace(old, new)
