"""The pymarian wheel: model M, an s2s model with a conditional GRU, through `Translator`.

One training step on toy lines is Marian's own way to write a model of random weights.
"""

import os
import tempfile
from pathlib import Path

import numpy as np
import pymarian
from protocol import SOURCE_TOKENS, SPECIALS, TARGET_TOKENS, VOCABULARY, WIDEST, num_threads, serve

NEVER = -1e4
"""Bias of EOS."""
# Faster than a model that Marian has converted to intgemm8: by CPU time 4 times with one
# sentence, 1.6 times with 64, on an EPYC with AVX-512.
INT8 = "--gemm-type packed8 --optimize"


def write_model(folder: Path) -> int:
    """Write `model.npz` and `vocabulary.yml`; return how many weights there are."""
    words = ["</s>", "<unk>", *(f"w{i}" for i in range(2, VOCABULARY))]
    vocabulary = folder / "vocabulary.yml"
    vocabulary.write_text("".join(f'"{word}": {i}\n' for i, word in enumerate(words)))
    lines = [" ".join(words[i : i + SOURCE_TOKENS - 1]) for i in range(SPECIALS, SPECIALS + 64)]
    for side in ("source", "target"):
        (folder / side).write_text("\n".join(lines) + "\n")
    model = folder / "model.npz"
    pymarian.Trainer(
        f"--type s2s --dim-emb 512 --dim-rnn 512 --tied-embeddings --dim-vocabs {VOCABULARY}"
        f" {VOCABULARY} --train-sets {folder}/source {folder}/target --vocabs {vocabulary}"
        f" {vocabulary} --model {model} --after 1u --cpu-threads 1 --workspace 512 --quiet"
        " --mini-batch 64 --maxi-batch 1 --seed 1 --overwrite --data-threads 1"
    ).train()
    weights = dict(np.load(model))
    (bias,) = (name for name in weights if name.endswith("ff_logit_l2_b"))
    weights[bias].reshape(-1)[0] = NEVER
    np.savez(model, **weights)
    return sum(value.size for name, value in weights.items() if not name.startswith("special:"))


def open_translator(folder: Path, width: int, batch: int, threads: int) -> pymarian.Translator:
    precision = INT8 if os.environ["PRECISION"] == "int8" else ""
    # Marian goes one step further than this says.
    factor = (TARGET_TOKENS - 0.9) / SOURCE_TOKENS
    vocabulary = folder / "vocabulary.yml"
    return pymarian.Translator(
        f"--models {folder}/model.npz --vocabs {vocabulary} {vocabulary} --beam-size {width}"
        f" --mini-batch {batch} --maxi-batch 1 --cpu-threads {threads} --workspace 256 --quiet"
        f" --quiet-translation --data-threads 1 --max-length-factor {factor} {precision}"
    )


def main() -> None:
    threads = num_threads()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        parameters = write_model(folder)
        translators = {
            (width, batch): open_translator(folder, width, batch, threads)
            for width in (1, WIDEST)
            for batch in (1, 64)
        }

        def translate(width: int, sources: list[list[int]]) -> list[int]:
            translator = translators[width, len(sources) // threads]
            text = "\n".join(" ".join(f"w{i}" for i in source) for source in sources)
            return [len(line.split()) for line in translator.translate(text).split("\n")]

        serve(
            translate,
            parallel=threads,
            versions={"pymarian": pymarian.__version__},
            parameters=parameters,
        )


if __name__ == "__main__":
    main()
