"""Detectors built from MMRotate's own configs, with random weights: reading, running, refusing. Needs MMRotate."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rsground.contracts import Prompt
from rsground.errors import CheckpointError, DeviceError, UnknownNameError
from rsground.testing import BackboneConformance
from rsground.types import Generation, View
from rsground_mmrotate.annotated import annotated_scenes
from rsground_mmrotate.detections import read_detections
from rsground_mmrotate.labels import export_dota

for _name in ("torch", "mmcv", "mmdet", "mmrotate", "safetensors"):
    pytest.importorskip(_name, reason="MMRotate is not installed here (nox -s mmrotate runs this)")

import torch  # noqa: E402

from rsground_mmrotate.backbone import MMRotateBackbone  # noqa: E402
from rsground_mmrotate.detector import Detector, corners_of  # noqa: E402
from rsground_mmrotate.train import configure, main, recipe_path  # noqa: E402
from rsground_mmrotate.weights import read_weights, save_detector  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore")
SMALL = """
_base_ = {base!r}
test_pipeline = [
    dict(type="mmdet.LoadImageFromFile"),
    dict(type="mmdet.Resize", scale=(96, 96), keep_ratio=True),
    dict(type="mmdet.LoadAnnotations", with_bbox=True, box_type="qbox"),
    dict(type="ConvertBoxType", box_type_mapping=dict(gt_bboxes="rbox")),
    dict(type="mmdet.PackDetInputs", meta_keys=("img_id", "img_path", "ori_shape", "img_shape", "scale_factor")),
]
model = dict(test_cfg={test})
"""
PUBLISHED = {
    "rotated_retinanet/rotated-retinanet-rbox-le90_r50_fpn_1x_dota.py": "dict(score_thr=0.0, max_per_img=20)",
    "gliding_vertex/gliding-vertex-qbox_r50_fpn_1x_dota.py": "dict(rcnn=dict(score_thr=0.0, max_per_img=20))",
}


def weights_of(config: Path, path: Path, **more: Any) -> Path:
    """A checkpoint as MMEngine writes one, with random weights."""
    from mmengine import Config
    from mmrotate.registry import MODELS
    from mmrotate.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    torch.manual_seed(3)
    model = MODELS.build(Config.fromfile(str(config)).model)
    torch.save({"state_dict": model.state_dict(), **more}, path)
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A detector's folder after two steps of training on two scenes, stopped after the first and resumed."""
    root = tmp_path_factory.mktemp("trained")
    export_dota(annotated_scenes("train", 2, size=64), root / "data")
    words = ["--data", str(root / "data"), "--out", str(root / "work"), "--batch", "2"]
    assert main([*words, "--iterations", "1"]) == 0
    assert main([*words, "--iterations", "2", "--resume"]) == 0
    return root / "work" / "final"


def test_training_writes_a_folder_that_can_be_loaded(trained: Path) -> None:
    assert sorted(path.name for path in trained.iterdir()) == ["config.py", "model.safetensors"]
    names = torch.load(trained.parent / "iter_2.pth", map_location="cpu")["state_dict"]
    state, classes = read_weights(trained / "model.safetensors")
    assert state.keys() == names.keys()
    assert all(torch.equal(state[name], names[name]) for name in names)
    detector = Detector(trained)
    assert detector.classes == tuple(classes or ())
    assert detector.detect([np.zeros((64, 64, 3), np.uint8)]) is not None


def test_sixteen_bits_are_half_as_large_and_read_as_thirty_two(trained: Path, tmp_path: Path) -> None:
    from mmengine import Config

    save_detector(tmp_path, Config.fromfile(str(trained / "config.py")), trained / "model.safetensors", half=True)
    whole, part = ((folder / "model.safetensors").stat().st_size for folder in (trained, tmp_path))
    assert part < 0.52 * whole
    state, _ = read_weights(trained / "model.safetensors")
    loaded = Detector(tmp_path, device="cpu")._model.state_dict()
    for name, value in state.items():
        assert loaded[name].dtype == value.dtype
        assert torch.equal(loaded[name], value.half().float() if value.ndim > 1 else value)


class TestBackbone(BackboneConformance):
    backbone_name = "mmrotate"

    @pytest.fixture(autouse=True)
    def _folder(self, trained: Path) -> None:
        self.backbone_options = {"checkpoint": str(trained), "device": "cpu"}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_configs_run(name: str, tmp_path: Path) -> None:
    import mmrotate

    config = tmp_path / "config.py"
    base = str(Path(mmrotate.__file__).parent / ".mim" / "configs" / name)
    config.write_text(SMALL.format(base=base, test=PUBLISHED[name]))
    weights = weights_of(config, tmp_path / "weights.pth", meta={"epoch": 12})
    backbone = MMRotateBackbone(weights, config=config, device="cpu")
    assert len(backbone.detector.classes) == 15
    image = np.random.default_rng(0).integers(0, 255, (80, 120, 3), np.uint8)
    (generation,) = backbone.generate([Prompt("anything", View((image,), (80, 120)))])
    read = read_detections(generation.text)
    assert read.parsed
    assert 0 < len(read.detections) <= 20
    scores = [each.score for each in read.detections]
    assert scores == sorted(scores, reverse=True)
    assert {each.category for each in read.detections} <= set(read.classes)


def test_questions_about_one_image_share_a_pass(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = MMRotateBackbone(trained, device="cpu", batch=2)
    asked: list[int] = []
    detect = backbone.detector.detect
    monkeypatch.setattr(backbone.detector, "detect", lambda images: asked.append(len(images)) or detect(images))
    first, second = np.zeros((64, 64, 3), np.uint8), np.full((64, 48, 3), 99, np.uint8)
    views = [View((first,), (64, 64)), View((second,), (64, 48)), View((first,), (64, 64))]
    found = backbone.generate([Prompt("?", view) for view in views])
    assert asked == [2]
    assert found[0].text == found[2].text
    assert all(isinstance(each, Generation) for each in found)


def test_boxes_keep_their_place() -> None:
    turned = corners_of(np.array([[10.0, 20.0, 8.0, 4.0, np.pi / 2]]))[0]
    assert {(round(x), round(y)) for x, y in turned.tolist()} == {(8, 16), (12, 16), (12, 24), (8, 24)}
    upright = corners_of(np.array([[1.0, 2.0, 5.0, 9.0]]))[0]
    assert upright.tolist() == [[1, 2], [5, 2], [5, 9], [1, 9]]


class Runs:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> Any:
        return (exec, ("raise SystemExit('code of a checkpoint was run')",))


def test_objects_in_a_checkpoint_are_left_out_and_not_run(trained: Path, tmp_path: Path) -> None:
    path = tmp_path / "bad.pth"
    torch.save(
        {"state_dict": {"a": torch.arange(3)}, "meta": {"hub": Runs(), "dataset_meta": {"classes": ("x",)}}}, path
    )
    state, classes = read_weights(path)
    assert state["a"].tolist() == [0, 1, 2]
    assert classes == ["x"]
    with pytest.raises(SystemExit):
        torch.load(path)


def test_what_cannot_be_used_says_why(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="option config"):
        Detector(trained / "model.safetensors")
    with pytest.raises(CheckpointError, match="no such file"):
        Detector(tmp_path / "none.pth", trained / "config.py")
    with pytest.raises(CheckpointError, match="no such config"):
        Detector(tmp_path)
    other = tmp_path / "other.pth"
    torch.save({"state_dict": {"a": torch.zeros(1)}}, other)
    with pytest.raises(CheckpointError, match=r"missing: .* and \d+ more; not of this model: a"):
        Detector(other, trained / "config.py")
    other.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(CheckpointError, match="weights"):
        Detector(other, trained / "config.py")
    (tmp_path / "config.py").write_text("raise ValueError('no')")
    with pytest.raises(CheckpointError, match="does not run"):
        Detector(trained / "model.safetensors", tmp_path / "config.py")
    if not torch.cuda.is_available():
        with pytest.raises(DeviceError, match="cuda"):
            Detector(trained, device="cuda")


def test_recipes() -> None:
    assert recipe_path("fcos_tiny").is_file()
    with pytest.raises(UnknownNameError, match="fcos_tiny"):
        recipe_path("fcos_tin")


def test_a_recipe_is_filled_in(tmp_path: Path) -> None:
    export_dota(annotated_scenes("train", 3, size=96), tmp_path / "data")
    config = configure(recipe_path("fcos_tiny"), tmp_path / "data", None, tmp_path / "out")
    assert config.model.bbox_head.num_classes == len(config.metainfo["classes"]) > 1
    assert config.train_dataloader.dataset.data_root.endswith("data/")
    assert config.val_dataloader is None
