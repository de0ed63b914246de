"""Traces of requests by OpenTelemetry, where DRAGOMAN_TRACES names a collector.

    request -> tokenise, queue, encode, decode, detokenise, restore

Each stage of a text or a sentence is a span under that of its request; the record of the request
tells of them when it is over, so that the engine knows nothing of traces. No span has a text, a
path, an address or a key. Without the setting nothing is imported and nothing is kept.
"""

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from service.record import Record

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Span

EXPORT_SECONDS = 5.0
"""After which a collector that does not answer is given up, until there are other spans."""


class CannotTrace(OSError):
    """What traces need is not installed."""


class Traces:
    """Makes the spans of requests; any thread may use it."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import (  # noqa: PLC0415  # an extra
            TraceContextTextMapPropagator,
        )

        self._provider = provider
        self._tracer = provider.get_tracer("dragoman")
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, headers: Mapping[str, str]) -> "Span":
        """Begin the span of a request, in the trace that its headers name, or in a new one."""
        from opentelemetry.trace import SpanKind  # noqa: PLC0415

        names = ("traceparent", "tracestate")
        carrier = {name: headers[name] for name in names if name in headers}
        context = self._propagator.extract(carrier)
        return self._tracer.start_span("request", context, SpanKind.SERVER)

    def end(
        self, span: "Span", name: str, attributes: Mapping[str, str | int], record: Record
    ) -> None:
        """End the span of a request, with what is known of it now and a span for each stage."""
        from opentelemetry.trace import Status, StatusCode, set_span_in_context  # noqa: PLC0415

        if span.is_recording():
            span.update_name(name)
            span.set_attributes(dict(attributes))
            span.set_attribute("dragoman.models", record.models)
            if record.stages_left_out:
                span.set_attribute("dragoman.stages_left_out", record.stages_left_out)
            if int(attributes["http.response.status_code"]) >= 500:
                span.set_status(Status(StatusCode.ERROR))
            began, context = time.time_ns() - time.monotonic_ns(), set_span_in_context(span)
            for stage in record.stages:
                at, until = (began + int(1e9 * each) for each in (stage.began, stage.ended))
                self._tracer.start_span(stage.name, context, start_time=at).end(until)
        span.end()

    def close(self) -> None:
        """Send what was not sent yet; blocks, but not for long."""
        self._provider.shutdown()


def ids_of(span: "Span") -> dict[str, str]:
    """Return what the header and the lines of the log tell of a span."""
    context = span.get_span_context()
    return {
        "trace_id": f"{context.trace_id:032x}",
        "span_id": f"{context.span_id:016x}",
        "trace_flags": f"{context.trace_flags & 1:02x}",
    }


def open_traces(address: str, ratio: float, exporter: "SpanExporter | None" = None) -> Traces:
    """Begin to send spans to a collector, in the background and many at a time.

    Args:
        address: of the collector, which speaks OTLP over HTTP.
        ratio: share of the traces that are kept, of those that begin here; of others, whoever
            began them has decided.
        exporter: what to use instead of the collector.

    Raises:
        CannotTrace: the extra `otel` is not installed.
    """
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource  # noqa: PLC0415
        from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
        from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
        from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio  # noqa: PLC0415
    except ImportError:
        raise CannotTrace("DRAGOMAN_TRACES needs pip install 'dragoman[otel]'") from None

    provider = TracerProvider(
        ParentBasedTraceIdRatio(ratio), Resource.create({SERVICE_NAME: "dragoman"})
    )
    exporter = exporter or OTLPSpanExporter(address, timeout=EXPORT_SECONDS)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Traces(provider)
