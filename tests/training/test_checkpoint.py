import pytest
import torch

from training import checkpoint


def test_what_was_saved_is_loaded(tmp_path):
    path = tmp_path / "new" / "last.pt"

    checkpoint.save({"weights": torch.arange(3), "step": 7}, path)

    loaded = checkpoint.load(path)
    assert loaded["weights"].tolist() == [0, 1, 2]
    assert loaded["step"] == 7
    assert list(path.parent.iterdir()) == [path]


def test_failed_save_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save({"step": 1}, path)

    with pytest.raises(Exception, match="pickle"):
        checkpoint.save({"step": 2, "no state": lambda: None}, path)

    assert checkpoint.load(path) == {"step": 1}


def test_missing_checkpoint_asks_to_train_first(tmp_path):
    with pytest.raises(ValueError, match=r"best\.pt does not exist: train first"):
        checkpoint.load(tmp_path / "best.pt")


@pytest.mark.parametrize("num_bytes", [0, 100])
def test_cut_off_checkpoint_is_refused_by_name(num_bytes, tmp_path):
    path = tmp_path / "last.pt"
    checkpoint.save({"weights": torch.zeros(100)}, path)
    path.write_bytes(path.read_bytes()[:num_bytes])

    with pytest.raises(ValueError, match=r"last\.pt is damaged"):
        checkpoint.load(path)


def test_checkpoint_that_would_run_code_is_refused(tmp_path):
    path = tmp_path / "last.pt"
    torch.save({"code": print}, path)

    with pytest.raises(ValueError, match=r"last\.pt is damaged"):
        checkpoint.load(path)
