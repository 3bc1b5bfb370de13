import pickle

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pybench.models import models
from pybench.models._parts import CosineClassifier
from pybench.models.i3d import I3D
from pybench.models.r3d18 import R3D18
from pybench.models.small3d import Small3D
from pybench.types import ModelContext

VIDEO = [Small3D(), R3D18(), I3D()]
NAMES = [type(model).__name__ for model in VIDEO]


def clips(model, number=2, frames=None, size=None):
    draw = np.random.default_rng(0)
    shape = (number, frames or model.frames, *(size or model.size), 3)
    return torch.from_numpy(draw.integers(0, 256, shape, dtype=np.uint8))


def built(model, **context):
    torch.manual_seed(0)
    return model.build(ModelContext(num_classes=3, **context)).eval()


def test_cosines_are_of_each_sample_snippet_or_cell_alone() -> None:
    head = CosineClassifier(5, 3)
    bags = torch.randn(2, 4, 5, generator=torch.Generator().manual_seed(0))
    alone = torch.stack([head(bag) for bag in bags])
    torch.testing.assert_close(head(bags), alone)
    assert torch.equal(head(bags[:, :1])[:, 0], head(bags[:, 0]))


@pytest.mark.parametrize("model", VIDEO, ids=NAMES)
def test_a_video_model_gives_logits_and_the_features_it_announces(model):
    network = built(model)
    with torch.no_grad():
        output = network(clips(model))
    assert output.logits.shape == (2, 3)
    assert {name: value.shape for name, value in output.features.items()} == {
        name: (2, width) for name, width in network.feature_dims.items()
    }


@pytest.mark.parametrize("model", VIDEO, ids=NAMES)
def test_the_last_features_are_what_the_classifier_reads(model):
    network = built(model, needs=frozenset({"cosine_head"}))
    with torch.no_grad():
        output = network(clips(model))
    last = list(output.features.values())[-1]
    (head,) = [m for m in network.modules() if type(m).__name__ == "CosineClassifier"]
    with torch.no_grad():
        expected = head(last)
    torch.testing.assert_close(output.logits, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("model", VIDEO, ids=NAMES)
def test_the_seed_alone_decides_the_weights(model):
    one, two = built(model).state_dict(), built(model).state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)
    torch.manual_seed(1)
    other = model.build(ModelContext(num_classes=3)).state_dict()
    assert any(not torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("model", "classes", "published"),
    [(R3D18(), 400, 33_371_472), (I3D(), 400, 12_697_264)],
    ids=["R3D18", "I3D"],
)
def test_known_architectures_have_the_published_number_of_parameters(model, classes, published):
    network = model.build(ModelContext(num_classes=classes))
    assert sum(p.numel() for p in network.parameters()) == published


@pytest.mark.parametrize("ending", ["safetensors", "pt"])
def test_weights_of_another_number_of_classes_come_back_without_the_head(tmp_path, ending):
    torch.manual_seed(5)
    trained = R3D18().build(ModelContext(num_classes=7)).body.state_dict()
    file = tmp_path / f"weights.{ending}"
    save_file(trained, file) if ending == "safetensors" else torch.save(trained, file)
    loaded = built(R3D18(weights=str(file))).body.state_dict()
    assert loaded["fc.weight"].shape == (3, 512)
    for name, value in trained.items():
        assert name.startswith("fc.") or torch.equal(loaded[name], value)


class Bomb:
    def __reduce__(self):
        return (open, ("exploded", "w"))


def test_a_weights_file_that_would_run_code_is_refused_and_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bomb.pt").write_bytes(pickle.dumps({"fc.weight": Bomb()}, protocol=2))
    torch.save({"fc.weight": Bomb()}, tmp_path / "zipped.pt")
    for name in ("bomb.pt", "zipped.pt"):
        with pytest.raises(ValueError, match="weights must hold tensors only"):
            built(R3D18(weights=name))
    assert not (tmp_path / "exploded").exists()


def test_weights_that_are_absent_or_of_another_architecture_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="weights must name a file"):
        built(R3D18(weights="nowhere.pt"))
    torch.save({"conv.weight": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match="must be of this architecture"):
        built(I3D(weights=str(tmp_path / "other.pt")))


def test_small3d_sees_motion():
    # The same pictures in another order are another clip; a still clip has no change to see.
    network = built(Small3D())
    clip = clips(Small3D(), number=1)
    with torch.no_grad():
        logits = network(clip).logits
        assert not torch.allclose(logits, network(clip.flip(1)).logits, atol=1e-4)


def test_small3d_takes_any_length_and_size_and_checks_its_fields():
    with torch.no_grad():
        assert built(Small3D())(clips(Small3D(), 1, 9, (40, 52))).logits.shape == (1, 3)
    with pytest.raises(ValueError, match="width must be >= 1, got 0"):
        Small3D(width=0)
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1"):
        Small3D(dropout=1)


def test_models_are_found_by_name_with_their_fields():
    assert models.build("small3d(width=8)") == Small3D(width=8)
