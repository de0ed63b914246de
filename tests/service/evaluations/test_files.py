import pytest
from pydantic import ValidationError

from service.evaluations import Report
from service.evaluations.files import EvaluationFiles

DAMAGED = b'{"lines": "Geheim.", "worst": "Geheim.", "owner": 7, "sentences": "Geheim."}'


def test_what_is_said_of_damaged_files_quotes_none_of_their_lines(tmp_path):
    files = EvaluationFiles(tmp_path)
    folder = files.folders.path("0" * 32)
    folder.mkdir()
    for name in ("evaluation.json", "model-0.json"):
        (folder / name).write_bytes(DAMAGED)

    for read in (
        lambda: files.record("0" * 32),
        lambda: files.chunk("0" * 32, "model", 0),
        lambda: Report.model_validate_json(DAMAGED),
    ):
        with pytest.raises(ValidationError) as caught:
            read()
        assert "valid" in str(caught.value)
        assert "Geheim" not in str(caught.value)
