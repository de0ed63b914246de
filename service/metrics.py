"""The series on `/metrics`; code elsewhere only counts.

Labels come from closed sets: `model` is the name and version of a loaded bundle, `route`
a route of the program, `status` a class such as `2xx`, `code` a class of `errors.py`,
`priority` is interactive or batch, `stage` is waiting or decoding, `kind` a kind of jobs.
"""

import platform
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

_LATENCY_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
_STEP_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)
_TEXT_SECONDS = (0.00005, 0.0001, *_STEP_SECONDS)

REQUEST_SECONDS = Histogram(
    "dragoman_request_seconds",
    "From the arrival of a request to the end of its answer.",
    ["route", "status"],
    buckets=_LATENCY_SECONDS,
)
REFUSED = Counter("dragoman_refused_total", "Requests answered by a failure.", ["code"])

TOKENISE_SECONDS = Histogram(
    "dragoman_tokenise_seconds",
    "Of one text: finding its sentences, what must be kept in it, and their tokens.",
    ["model"],
    buckets=_TEXT_SECONDS,
)
QUEUE_SECONDS = Histogram(
    "dragoman_queue_seconds",
    "From the arrival of a sentence in the waiting line to its admission to a batch.",
    ["model", "priority"],
    buckets=(0.001, *_LATENCY_SECONDS),
)
CACHE = Counter(
    "dragoman_cache_sentences_total",
    "Sentences that were looked for in the cache, by outcome: hit or miss.",
    ["model", "outcome"],
)
STEP_SECONDS = Histogram(
    "dragoman_step_seconds",
    "One run of the decoder graph over all rows, search included.",
    ["model"],
    buckets=_STEP_SECONDS,
)
ENCODE_SECONDS = Histogram(
    "dragoman_encode_seconds",
    "One run of the encoder graph over the sentences that join together.",
    ["model"],
    buckets=_STEP_SECONDS,
)
DETOKENISE_SECONDS = Histogram(
    "dragoman_detokenise_seconds",
    "Of one text: making it of target tokens, with all that was kept put back.",
    ["model"],
    buckets=_TEXT_SECONDS,
)
BATCH_ROWS = Histogram(
    "dragoman_batch_rows",
    "Rows of one step.",
    ["model"],
    buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024),
)
PADDING = Histogram(
    "dragoman_padding_ratio",
    "Share of the source positions of one step that fill shorter sentences up to the longest.",
    ["model"],
    buckets=(0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.75, 1),
)
STEP_ROWS = Counter(
    "dragoman_step_rows_total", "Rows that steps computed, dead hypotheses included.", ["model"]
)
USEFUL_ROWS = Counter(
    "dragoman_useful_rows_total",
    "Of these, rows that continued a live hypothesis of an unfinished sentence.",
    ["model"],
)
ROWS = Gauge("dragoman_rows", "Rows being decoded, all workers together.", ["model"])
WAITING_SENTENCES = Gauge(
    "dragoman_waiting_sentences", "Sentences in the waiting line.", ["model", "priority"]
)
WAITING_TOKENS = Gauge("dragoman_waiting_tokens", "Their source tokens.", ["model", "priority"])
PREDICTED_WAIT = Gauge(
    "dragoman_predicted_wait_seconds",
    "How long a sentence that arrives now would wait; 0 until a line has been measured.",
    ["model", "priority"],
)
OVERLOADED = Counter(
    "dragoman_overloaded_total",
    "Texts that were not accepted, by reason: tokens, wait or unloading.",
    ["model", "priority", "reason"],
)
SOURCE_TOKENS = Counter(
    "dragoman_source_tokens_total", "Source tokens of finished sentences.", ["model"]
)
TARGET_TOKENS = Counter(
    "dragoman_target_tokens_total", "Target tokens of finished sentences, EOS included.", ["model"]
)
CHARACTERS = Counter(
    "dragoman_characters_total",
    "Characters of texts that were translated: side is source or target.",
    ["model", "side"],
)
UNKNOWN_TOKENS = Counter(
    "dragoman_unknown_tokens_total",
    "Source tokens that the vocabulary lacks; none if it falls back to bytes.",
    ["model"],
)
LOST = Counter(
    "dragoman_lost_total",
    "Placeholders, tags and symbols of texts that their translations lack.",
    ["model"],
)
SENTENCES = Counter(
    "dragoman_sentences_total",
    "Finished sentences, by how they ended: eos, length or repetition.",
    ["model", "finish_reason"],
)
CANCELLED = Counter(
    "dragoman_cancelled_sentences_total", "Sentences whose caller went away.", ["model", "stage"]
)
EXPIRED = Counter(
    "dragoman_expired_sentences_total", "Sentences whose deadline passed.", ["model", "stage"]
)
FAILED = Counter("dragoman_failed_sentences_total", "Sentences lost with their batch.", ["model"])
MODEL_INFO = Gauge(
    "dragoman_model_info",
    "1 for each model that is loaded.",
    ["model", "variant", "provider"],
)
MODEL_LOADS = Counter(
    "dragoman_model_loads_total",
    "Bundles that were to be loaded, by what came of it: loaded or failed.",
    ["outcome"],
)
MODEL_SWAPS = Counter(
    "dragoman_model_swaps_total", "Times that other models took the place of those that served."
)
REFUSED_BUNDLES = Gauge(
    "dragoman_refused_bundles",
    "Bundles in the folder that would be served, or could be promoted, if they could be loaded.",
)
JOBS_RUNNING = Gauge("dragoman_running_jobs", "Jobs that are worked on.", ["kind"])
JOBS = Counter(
    "dragoman_jobs_total",
    "Jobs by what became of them: accepted, and then done, failed or cancelled.",
    ["kind", "outcome"],
)
GPU_MEMORY = Gauge(
    "dragoman_gpu_memory_bytes",
    "Memory of the GPU that models run on: kind is used, by whomever, or total.",
    ["kind"],
)
BUILD_INFO = Gauge(
    "dragoman_build_info",
    "1, with the versions of this program, of Python and of ONNX Runtime.",
    ["version", "python", "onnxruntime"],
)

_OF_MODELS = [
    metric
    for metric in list(globals().values())
    if isinstance(metric, MetricWrapperBase) and "model" in metric._labelnames
]


def tell_build() -> None:
    """Say which versions run."""
    runtimes = (_version(name) for name in ("onnxruntime", "onnxruntime-gpu"))
    runtime = next((each for each in runtimes if each), "")
    BUILD_INFO.labels(_version("dragoman"), platform.python_version(), runtime).set(1)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def forget(model: str) -> None:
    """Drop the series of a model that is not loaded any more."""
    for metric in _OF_MODELS:
        metric.remove_by_labels({"model": model})
