"""The series on `/metrics`; code elsewhere only counts.

Labels come from closed sets: `model` is the name and version of a loaded bundle, `route`
a route of the program, `status` a class such as `2xx`, `code` a class of `errors.py`,
`priority` is interactive or batch, `stage` is waiting or decoding.
"""

from prometheus_client import Counter, Gauge, Histogram
from prometheus_client.metrics import MetricWrapperBase

_LATENCY_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300)
_STEP_SECONDS = (0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5)

REQUEST_SECONDS = Histogram(
    "dragoman_request_seconds",
    "From the arrival of a request to the end of its answer.",
    ["route", "status"],
    buckets=_LATENCY_SECONDS,
)
REFUSED = Counter("dragoman_refused_total", "Requests answered by a failure.", ["code"])

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
REFUSED_BUNDLES = Gauge(
    "dragoman_refused_bundles",
    "Bundles in the folder that would be served, or could be promoted, if they could be loaded.",
)

_OF_MODELS = [
    metric
    for metric in list(globals().values())
    if isinstance(metric, MetricWrapperBase) and "model" in metric._labelnames
]


def forget(model: str) -> None:
    """Drop the series of a model that is not loaded any more."""
    for metric in _OF_MODELS:
        metric.remove_by_labels({"model": model})
