"""The results store: whole records or none, one owner per trial, failures kept."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import polars as pl
import pytest
import torch

from pybench import host
from pybench.lease import Lease, Owner
from pybench.result import Result
from pybench.store import Store, StoreError, StoreWarning
from pybench.trial import Budget, Split, Trial, trial_id

TRIAL = Trial("toy", "0" * 16, "linear", "focal(gamma=2)", seed=3, split=Split(fold=1, folds=5))
ID = trial_id(TRIAL, "code")
STAMP = {"host_id": "0a1b2c3d", "cpu": "a processor", "torch": "2", "dirty": False}


def result(trial: Trial = TRIAL, value: float | None = 0.5) -> Result:
    return Result(
        trial,
        [
            {
                "split": "test",
                "metric": "macro_f1",
                "class": name,
                "value": value,
                "unit": "1",
                "higher_is_better": True,
                "n": 4,
            }
            for name in ("", "cat")
        ],
        pl.DataFrame({"sample": [0, 1], "logits": [[0.25, -1.0], [1 / 3, 2.0]]}),
        pl.DataFrame({"epoch": [0], "train_loss": [0.7]}),
        {"model.weight": torch.arange(6.0).reshape(2, 3).T, "model.steps": torch.tensor(7)},
        {"provenance": "generated", "train_s": 1.5},
    )


def ids(count: int) -> list[str]:
    return [f"{i % 256:02x}{i:030x}" for i in range(count)]


def sleeping_owner(code: str = "import time; time.sleep(600)") -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)


def leftovers(store: Store) -> list[str]:
    return [str(path) for path in store.root.rglob("tmp-*")]


def test_what_is_published_is_read_back_exactly(tmp_path: Path) -> None:
    store, given = Store(tmp_path), result()
    assert store.publish(ID, given, STAMP)
    record = store.get(ID)
    assert record is not None
    assert (record.id, record.trial, record.status, record.failure) == (ID, TRIAL, "done", None)
    assert record.metrics == given.metrics
    assert (record.facts, record.stamp) == (given.facts, STAMP)
    assert record.predictions().equals(given.predictions)
    assert record.curves().equals(given.curves)
    weights = record.weights()
    assert weights.keys() == given.weights.keys()
    assert all(torch.equal(weights[key], given.weights[key]) for key in weights)
    assert record.error() == ""
    assert not leftovers(store)


def test_a_record_is_one_json_object_that_other_programs_can_read(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.publish(ID, result(), STAMP)
    value = json.loads((tmp_path / "trials" / ID[:2] / ID / "record.json").read_text())
    assert (value["schema"], value["id"], value["status"]) == (1, ID, "done")
    assert Trial.from_json(value["trial"]) == TRIAL


def test_the_median_seconds_are_of_finished_trials_of_the_task(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for id, seconds in zip(ids(3), (1.0, 2.0, 9.0), strict=True):
        store.publish(id, result().with_facts({"total_s": seconds}), STAMP)
    other = dataclasses.replace(TRIAL, task="other")
    store.publish(ids(4)[3], result(other).with_facts({"total_s": 100.0}), STAMP)
    store.publish_failure(ids(5)[4], TRIAL, "error", "", "", STAMP)
    assert store.median_seconds("toy") == 2.0
    assert store.median_seconds("third") is None


def test_opening_and_reading_an_absent_store_writes_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path / "none")
    assert store.get(ID) is None
    assert list(store.records()) == []
    assert store.done() == store.failed([ID]) == store.running() == set()
    assert store.frame().height == 0
    assert not store.root.exists()


def test_the_second_publisher_discards_its_work(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.publish(ID, result(value=0.1), STAMP)
    assert not store.publish(ID, result(value=0.9), STAMP)
    record = store.get(ID)
    assert record is not None
    assert record.metrics[0]["value"] == 0.1
    assert not leftovers(store)


def test_many_publishers_of_one_trial_leave_one_whole_record(tmp_path: Path) -> None:
    store, won = Store(tmp_path), []
    start = threading.Barrier(8)

    def publish(value: float) -> None:
        start.wait()
        if store.publish(ID, result(value=value), STAMP):
            won.append(value)

    threads = [threading.Thread(target=publish, args=(float(i),)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    record = store.get(ID)
    assert record is not None
    assert [record.metrics[0]["value"]] == won
    assert not leftovers(store)


def test_a_failure_is_a_record_and_a_retry_replaces_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    assert store.publish_failure(ID, TRIAL, "nan", "loss became NaN", "the traceback", STAMP)
    record = store.get(ID)
    assert record is not None
    assert (record.status, record.failure, record.reason) == ("failed", "nan", "loss became NaN")
    assert record.error() == "the traceback"
    assert store.failed() == store.failed([ID]) == {ID}
    assert store.done() == set()
    with pytest.raises(StoreError, match="must belong to a finished trial"):
        record.predictions()

    assert store.publish_failure(ID, TRIAL, "memory", "needed too much", "", STAMP)
    again = store.get(ID)
    assert again is not None
    assert again.failure == "memory"
    assert store.publish(ID, result(), STAMP)
    assert (store.done([ID]), store.failed([ID])) == ({ID}, set())
    assert not store.publish_failure(ID, TRIAL, "error", "late", "", STAMP)
    assert (store.done([ID]), store.failed([ID])) == ({ID}, set())
    assert not leftovers(store)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_number_that_json_cannot_hold_is_refused_by_name(tmp_path: Path, value: float) -> None:
    store = Store(tmp_path)
    with pytest.raises(ValueError, match=r"metrics\[0\]\.value must be finite or None, got"):
        store.publish(ID, result(value=value), STAMP)
    assert store.get(ID) is None
    assert not leftovers(store)


def test_undefined_metrics_and_numpy_facts_have_a_json_form(tmp_path: Path) -> None:
    store = Store(tmp_path)
    facts = {"counts": torch.tensor([3, 1]).numpy(), "norm": torch.tensor([0.5]).numpy()[0]}
    store.publish(ID, result(value=None).with_facts(facts), STAMP)
    record = store.get(ID)
    assert record is not None
    assert record.metrics[0]["value"] is None
    assert (record.facts["counts"], record.facts["norm"]) == ([3, 1], 0.5)


@pytest.mark.parametrize("id", ["", "../../etc/passwd", "A" * 32, "0" * 31, "0" * 32 + "\n"])
def test_an_id_is_32_hexadecimal_digits(tmp_path: Path, id: str) -> None:
    with pytest.raises(ValueError, match="id must be 32 hexadecimal digits"):
        Store(tmp_path).get(id)


def edit(path: Path, old: str, new: str) -> None:
    text = (path / "record.json").read_text()
    assert old in text
    (path / "record.json").write_text(text.replace(old, new))


def damage_truncate(path: Path) -> None:
    data = (path / "record.json").read_bytes()
    (path / "record.json").write_bytes(data[: len(data) // 2])


def damage_empty(path: Path) -> None:
    (path / "record.json").write_bytes(b"")


def damage_no_record(path: Path) -> None:
    (path / "record.json").unlink()


def damage_predictions(path: Path) -> None:
    (path / "predictions.parquet").write_bytes(b"PAR1")


def damage_no_weights(path: Path) -> None:
    (path / "weights.safetensors").unlink()


def damage_future_schema(path: Path) -> None:
    edit(path, '"schema": 1,', '"schema": 2,')


def damage_other_id(path: Path) -> None:
    edit(path, ID, "f" * 32)


def damage_list(path: Path) -> None:
    (path / "record.json").write_text("[1, 2]")


def damage_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("not a folder")


DAMAGES = [value for name, value in sorted(globals().items()) if name.startswith("damage_")]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_record_is_set_aside_and_named(tmp_path: Path, damage) -> None:
    store, other = Store(tmp_path), "f" * 32
    store.publish(ID, result(), STAMP)
    store.publish(other, result(), STAMP)
    damage(tmp_path / "trials" / ID[:2] / ID)
    with pytest.warns(StoreWarning, match=f"record {ID} is damaged: .*; moved to"):
        assert store.done() == {other}
    assert [path.name[:32] for path in (tmp_path / "quarantine").iterdir()] == [ID]
    assert store.get(ID) is None
    assert store.publish(ID, result(), STAMP)
    assert store.done() == {ID, other}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_new_record_takes_the_place_of_a_damaged_one(tmp_path: Path, damage) -> None:
    store = Store(tmp_path)
    store.publish(ID, result(), STAMP)
    damage(tmp_path / "trials" / ID[:2] / ID)
    with pytest.warns(StoreWarning, match="is damaged"):
        assert store.publish(ID, result(), STAMP)
    assert store.done() == {ID}


def test_a_trial_with_foreign_fields_is_set_aside(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.publish(ID, result(), STAMP)
    edit(tmp_path / "trials" / ID[:2] / ID, '"model":', '"modex":')
    with pytest.warns(StoreWarning, match="modex"):
        assert store.get(ID) is None


def test_readers_ignore_unfinished_work(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.publish(ID, result(), STAMP)
    (tmp_path / "trials" / "tmp-0a1b2c3d-1-1-00").mkdir()
    (tmp_path / "trials" / ID[:2] / ".hidden").mkdir()
    assert [record.id for record in store.records()] == [ID]


def test_a_lease_has_one_holder_until_it_is_released(tmp_path: Path) -> None:
    store = Store(tmp_path)
    lease = store.claim(ID)
    assert lease is not None
    assert store.owner(ID) == Owner.me()
    assert store.running() == store.running([ID]) == {ID}
    assert store.claim(ID) is None
    lease.release()
    lease.release()
    assert store.owner(ID) is None
    with store.claim(ID) or pytest.fail("free again"):
        assert store.claim(ID) is None
    assert store.running([ID]) == set()


def test_one_of_many_claimants_gets_a_lease_whose_owner_died(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.claim(ID)
    dead = Owner(host.host_id(), pid=os.getpid(), start=1)  # this id, used again by a new process
    (store.leases / ID).write_text(str(dead))
    got: list[Lease | None] = []
    start = threading.Barrier(8)

    def claim() -> None:
        start.wait()
        got.append(store.claim(ID))

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(lease is not None for lease in got) == 1
    assert store.owner(ID) == Owner.me()
    assert not leftovers(store)


def test_the_lease_of_a_killed_process_is_free_at_once(tmp_path: Path) -> None:
    store = Store(tmp_path)
    process = sleeping_owner(
        f"from pybench.store import Store; import time\n"
        f"print(Store({str(tmp_path)!r}).claim({ID!r}), flush=True); time.sleep(600)"
    )
    try:
        assert process.stdout is not None
        assert "Lease" in process.stdout.readline()
        assert store.claim(ID) is None
        process.send_signal(signal.SIGKILL)
        # Nobody has waited for the process yet: it is a zombie, and counts as dead.
        while host.process_start(process.pid) is not None:
            pass
        assert store.claim(ID) is not None
    finally:
        process.kill()
        process.communicate()


def test_the_lease_of_another_host_is_respected(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.claim(ID)
    (store.leases / ID).write_text(str(Owner("ffffffff", pid=1, start=1)))
    assert store.claim(ID) is None
    store.clean()
    assert store.claim(ID) is None


def test_a_torn_lease_belongs_to_nobody(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.claim(ID)
    (store.leases / ID).write_text("")
    assert store.claim(ID) is not None


def test_cleaning_removes_what_the_dead_left_and_spares_the_living(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.publish(ID, result(), STAMP)
    dead = Owner(host.host_id(), pid=2**22 + 1, start=1)
    living = sleeping_owner()
    try:
        alive = dataclasses.replace(dead, pid=living.pid, start=host.process_start(living.pid) or 0)
        for owner in (dead, alive):
            work = store.trials / f"tmp-{owner}-0123"
            work.mkdir()
            (work / "record.json").write_text("{")
        store.leases.mkdir()
        (store.leases / ids(2)[0]).write_text(str(dead))
        (store.leases / ids(2)[1]).write_text(str(alive))
        (store.leases / f"tmp-{dead}-0123").write_text(str(dead))
        store.clean()
    finally:
        living.kill()
        living.communicate()
    assert [p.name for p in store.trials.glob("tmp-*")] == [f"tmp-{alive}-0123"]
    assert [p.name for p in store.leases.iterdir() if p.name[0] != "."] == [ids(2)[1]]
    assert store.done() == {ID}


def test_a_store_that_cannot_be_written_says_so_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file")
    with pytest.raises(StoreError, match="store must be a directory that can be written, got"):
        store.publish(ID, result(), STAMP)
    with pytest.raises(StoreError, match="store must be a directory that can be written, got"):
        store.claim(ID)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_is_named(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.leases.mkdir(parents=True)
    with pytest.raises(StoreError, match="must have free space"), store._writing():
        Path("/dev/full").write_text("x")


def test_a_write_that_stops_half_way_leaves_nothing(tmp_path: Path) -> None:
    store = Store(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(StoreError):
            store.publish(ID, result(), STAMP)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert store.get(ID) is None
    assert not leftovers(store)
    assert store.publish(ID, result(), STAMP)


def test_the_frame_has_a_row_per_metric_and_one_per_failure(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.publish(ID, result(), STAMP)
    failed = dataclasses.replace(TRIAL, seed=4, budget=Budget(lr_policy="tuned"), steps=("a", "b"))
    store.publish_failure(trial_id(failed, "code"), failed, "nan", "diverged", "", STAMP)
    frame = store.frame()
    done = frame.filter(pl.col("status") == "done")
    assert done["class"].to_list() == ["", "cat"]
    assert done.select("id", "task", "loss", "seed", "fold", "value", "n", "provenance").row(0) == (
        (ID, "toy", "focal(gamma=2)", 3, 1, 0.5, 4, "generated")
    )
    shown = frame.filter(pl.col("status") == "failed")
    columns = ("seed", "steps", "failure", "reason", "metric", "value", "lr_policy")
    assert shown.select(columns).rows() == [(4, "a -> b", "nan", "diverged", None, None, "tuned")]
    assert frame.schema == Store(tmp_path / "none").frame().schema


def test_the_index_is_the_frame(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for id in ids(3):
        store.publish(id, result(), STAMP)
    assert pl.read_parquet(store.compact()).equals(store.frame())
    store.publish(ids(4)[3], result(), STAMP)
    assert pl.read_parquet(store.compact())["id"].n_unique() == 4
    assert not leftovers(store)


def test_a_stamp_holds_no_name_of_this_host_and_no_path() -> None:
    stamp = host.stamp()
    text = json.dumps(stamp)
    assert os.uname().nodename not in text.replace(stamp["cpu"], "")
    assert str(Path.home()) not in text
    assert {"cpu", "cores", "memory_mib", "os", "python", "numpy", "torch", "git_sha"} <= set(stamp)
    assert stamp["torch"] == torch.__version__


def test_torch_facts_need_torch_to_be_in_use() -> None:
    code = (
        "from pybench import host; import sys\n"
        "stamp = host.stamp(); assert 'tf32' not in stamp and 'torch' not in sys.modules\n"
        "import torch; assert host.stamp()['tf32'] is False"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
