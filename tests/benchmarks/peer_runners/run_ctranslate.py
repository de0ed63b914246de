"""CTranslate2: a Transformer of about model L's size, 2 + 1 layers of 512, random weights."""

import os
import tempfile

import ctranslate2
import numpy as np
from ctranslate2.specs import LayerSpec, TransformerSpec
from protocol import SPECIALS, TARGET_TOKENS, VOCABULARY, num_threads, serve

LAYERS = (2, 1)
SIZE, INNER, HEADS = 512, 2048, 8
MAX_POSITIONS = 64
UNK, BOS, EOS, PAD = "<unk>", "<s>", "</s>", "<blank>"
WORDS = [UNK, BOS, EOS, PAD, *(f"w{i}" for i in range(SPECIALS, VOCABULARY))]


class Weights:
    """Draws what a specification asks for, and counts it."""

    def __init__(self) -> None:
        self._draw = np.random.default_rng(1)
        self.count = 0

    def table(self, outputs: int, inputs: int) -> np.ndarray:
        self.count += outputs * inputs
        drawn = self._draw.normal(scale=inputs**-0.5, size=(outputs, inputs))
        return drawn.astype(np.float32)

    def linear(self, part: LayerSpec, outputs: int, inputs: int) -> None:
        self.count += outputs
        part.weight, part.bias = self.table(outputs, inputs), np.zeros(outputs, np.float32)

    def norm(self, part: LayerSpec) -> None:
        self.count += 2 * SIZE
        part.gamma, part.beta = np.ones(SIZE, np.float32), np.zeros(SIZE, np.float32)

    def inner(self, part: LayerSpec) -> None:
        self.linear(part.linear_0, INNER, SIZE)
        self.linear(part.linear_1, SIZE, INNER)
        self.norm(part.layer_norm)

    def attention(self, part: LayerSpec, *sizes: int) -> None:
        for each, size in zip(part.linear, sizes, strict=True):
            self.linear(each, size, SIZE)
        self.norm(part.layer_norm)


def write_model(folder: str) -> int:
    """Write a model with one table for source, target and output; return how many weights."""
    weights = Weights()
    spec = TransformerSpec.from_config(LAYERS, HEADS)
    embeddings = weights.table(VOCABULARY, SIZE)
    spec.encoder.embeddings[0].weight = spec.decoder.embeddings.weight = embeddings
    spec.decoder.projection.weight = embeddings
    spec.decoder.projection.bias = np.zeros(VOCABULARY, np.float32)
    positions = np.zeros((MAX_POSITIONS, SIZE), np.float32)
    for side in (spec.encoder, spec.decoder):
        side.position_encodings.encodings = positions
        side.scale_embeddings = True
        weights.norm(side.layer_norm)
    for layer in spec.encoder.layer:
        weights.attention(layer.self_attention, 3 * SIZE, SIZE)
        weights.inner(layer.ffn)
    for layer in spec.decoder.layer:
        weights.attention(layer.self_attention, 3 * SIZE, SIZE)
        weights.attention(layer.attention, SIZE, 2 * SIZE, SIZE)
        weights.inner(layer.ffn)
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = UNK, BOS, EOS
    spec.config.decoder_start_token = BOS
    spec.register_source_vocabulary(WORDS)
    spec.register_target_vocabulary(WORDS)
    spec.validate()
    spec.optimize()
    spec.save(folder)
    return weights.count


def main() -> None:
    threads = num_threads()
    precision = os.environ["PRECISION"]
    with tempfile.TemporaryDirectory() as folder:
        parameters = write_model(folder)
        translator = ctranslate2.Translator(
            folder, compute_type=precision, inter_threads=threads, intra_threads=1
        )

    def translate(width: int, sources: list[list[int]]) -> list[int]:
        found = translator.translate_batch(
            [[*(WORDS[i] for i in source), EOS] for source in sources],
            beam_size=width,
            max_batch_size=len(sources) // threads,
            min_decoding_length=TARGET_TOKENS,
            max_decoding_length=TARGET_TOKENS,
        )
        return [len(each.hypotheses[0]) for each in found]

    serve(
        translate,
        parallel=threads,
        versions={"CTranslate2": ctranslate2.__version__},
        parameters=parameters,
    )


if __name__ == "__main__":
    main()
