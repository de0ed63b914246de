"""The bundles that teachers translate with, for the engine opens bundles only.

A teacher that is published is asked as it is. One that is not, or several that translate together,
become a draft within the student's run: graphs in single precision that follow the networks, but
neither swept nor scored nor published.
"""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from models.bundle import MANIFEST, Bundle
from training.corpus import load_dev
from training.draft import TOKENIZER, describe, write_draft
from training.experts import Expert, Place, join_experts
from training.measurements import REFERENCE
from training.parity import check_parity
from training.prepare import encode_pairs
from training.run import Run
from training.weights import write_network

FOLDER = "teachers"


class TeacherBundles:
    """What a student's teachers translate with; each draft is made once."""

    def __init__(self, run: Run, place: Place) -> None:
        self._run, self._place = run, place

    def bundle_of(self, experts: Sequence[Expert]) -> Path:
        """Return the folder of a bundle in which these experts translate together.

        Raises:
            ValueError: they differ in their vocabulary, or the graphs do not follow the networks.
        """
        if len(experts) == 1 and experts[0].is_bundle:
            return experts[0].path
        hashes = "".join(expert.sha256 for expert in experts)
        folder = self._run.folder / FOLDER / hashlib.sha256(hashes.encode()).hexdigest()[:16]
        if not (folder / MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)
            self._write(experts, folder)
        return Bundle.open(folder).path

    def _write(self, experts: Sequence[Expert], folder: Path) -> None:
        run, trained = join_experts(experts, self._place)
        (folder / REFERENCE).mkdir(parents=True)
        trained.tokenizer.save(folder / TOKENIZER)
        options = run.recipe.export
        files = write_network(
            trained.network, folder / REFERENCE, REFERENCE, positions=options.positions
        )
        known = set(run.recipe.corpus.directions)
        # the student's own text: a teacher's need not be here
        dev = load_dev(self._run, self._run.recipe.export.parity_sentences)
        texts = [text for text in dev if (text.source, text.target) in known]
        pairs = encode_pairs(run.recipe, trained.tokenizer, texts)
        parity = check_parity(trained.network, files, pairs, options.tolerance)
        # the manifest comes last, so what has one is whole
        write_draft(folder, describe(run, trained, folder, {REFERENCE: files}, parity))
