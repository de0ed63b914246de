"""Our engine: the network named by NETWORK in the variant named by PRECISION."""

import os
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import onnxruntime
from protocol import TARGET_TOKENS, VOCABULARY, num_threads, serve

sys.path.append(str(Path(__file__).parents[1]))

from bench_models import MODEL_L, MODEL_M, build_bundle, count_parameters
from engine_side import decode

from models.tokenizer import EOS
from service.engine.hypothesis import SearchOptions
from service.engine.sessions import Sessions

NETWORKS = {"L": MODEL_L, "M": MODEL_M}


def main() -> None:
    threads = num_threads()
    sizes = NETWORKS[os.environ["NETWORK"]]
    with tempfile.TemporaryDirectory() as folder:
        bundle = build_bundle(Path(folder), sizes, VOCABULARY)
        sessions = Sessions(bundle, variant=os.environ["PRECISION"])
    workers = ThreadPoolExecutor(threads)

    def translate(width: int, sources: list[list[int]]) -> list[int]:
        options = SearchOptions(width=width, max_tokens=TARGET_TOKENS)
        ended = [[*source, EOS] for source in sources]
        size = len(ended) // threads
        parts = [ended[i : i + size] for i in range(0, len(ended), size)]
        if threads == 1:
            found = [decode(sessions, parts[0], options)]
        else:
            found = list(workers.map(lambda part: decode(sessions, part, options), parts))
        return [len(best.tokens) for each in found for best in each]

    serve(
        translate,
        parallel=threads,
        versions={"onnxruntime": onnxruntime.__version__},
        parameters=count_parameters(sizes, VOCABULARY),
    )


if __name__ == "__main__":
    main()
