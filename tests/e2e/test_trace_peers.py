"""What OpenTelemetry's Python SDK makes of propagation fields, trace ids and our spans' bytes, we
make of them, too. Ours are asked through programs/trace_peer.c."""
import os
import random
import subprocess

import pytest
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry import trace
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from opentelemetry.sdk.trace.sampling import Decision, TraceIdRatioBased
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from conftest import BUILD

TRACE, SHORT, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "a3ce929d0e0e4736", "00f067aa0ba902b7"
W3C, B3, B3_MULTI, JAEGER = 1, 4, 8, 16
SAMPLED, RANDOM, DEFERRED, DEBUG = 1, 2, 32, 64
BYTES = "0123456789abcdefABCDEFg-:%=,;._ dx"
SEED = 20260101


def ask(*commands):
    """The answers to these commands."""
    peer = os.path.join(BUILD, "tests", "e2e", "programs", "trace_peer")
    done = subprocess.run([peer], input="\n".join(commands) + "\n", text=True, timeout=60,
                          capture_output=True, check=True)
    lines = done.stdout.split("\n")[:-1]
    assert len(lines) == len(commands), done.stderr
    return lines


def theirs(propagator, fields):
    context = trace.get_current_span(propagator.extract(fields)).get_span_context()
    if not context.is_valid:
        return None
    return trace.format_trace_id(context.trace_id), trace.format_span_id(context.span_id), \
        int(context.trace_flags)


def ours(bits, carriers):
    commands = [f"extract {bits}\t" + "\t".join(f"{k}={v}" for k, v in fields.items())
                for fields in carriers]
    for answer in ask(*commands):
        if answer == "none":
            yield None
        else:
            trace_id, span_id, flags, state = answer.split(" ", 3)
            yield trace_id, span_id, int(flags), state


def changed(dice, text):
    """`text` with a few characters replaced, removed or added."""
    chars = list(text)
    for _ in range(dice.randrange(3)):
        at = dice.randrange(len(chars) + 1)
        what = dice.randrange(3)
        if what == 0 and at < len(chars):
            chars[at] = dice.choice(BYTES)
        elif what == 1 and at < len(chars):
            del chars[at]
        else:
            chars.insert(at, dice.choice(BYTES))
    return "".join(chars)


def test_traceparent_is_read_as_the_sdk_reads_it():
    dice = random.Random(SEED)
    seeds = [f"00-{TRACE}-{SPAN}-01", f"00-{TRACE}-{SPAN}-03", f"cc-{TRACE}-{SPAN}-00-more",
             f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01"]
    texts = [text for text in (changed(dice, dice.choice(seeds)) for _ in range(5000))
             if text == text.strip()]  # the SDK trims what HTTP has trimmed for us
    taken = 0
    for text, answer in zip(texts, ours(W3C, ({"traceparent": t} for t in texts))):
        want = theirs(TraceContextTextMapPropagator(), {"traceparent": text})
        if want:
            taken += 1
            want = (*want[:2], want[2] & (SAMPLED | RANDOM), "")
        assert answer == want, text
    assert 500 < taken < 4500


@pytest.mark.parametrize("bits,propagator,field,seeds", [
    (B3, B3SingleFormat(), "b3",
     [f"{TRACE}-{SPAN}-1", f"{SHORT}-{SPAN}-0", f"{TRACE}-{SPAN}-d", f"{TRACE}-{SPAN}",
      f"{TRACE}-{SPAN}-1-{SPAN}"]),
    (JAEGER, JaegerPropagator(), "uber-trace-id",
     [f"{TRACE}:{SPAN}:0:1", f"{SHORT}:{SPAN}:{SPAN}:0", "1:2:0:1", f"{TRACE}:{SPAN}:0:3"]),
])
def test_what_we_take_of_older_formats_the_sdk_takes_alike(bits, propagator, field, seeds):
    dice = random.Random(SEED)
    texts = seeds + [changed(dice, dice.choice(seeds)) for _ in range(3000)]
    taken = 0
    for text, answer in zip(texts, ours(bits, ({field: t} for t in texts))):
        if not answer:
            assert text not in seeds
            continue
        taken += 1
        want = theirs(propagator, {field: text})
        sampled = SAMPLED if answer[2] & (SAMPLED | DEFERRED) else 0  # the SDK keeps what is open
        assert (answer[0], answer[1], sampled) == want, text
    assert taken > 500


def test_b3_in_several_fields_is_read_as_the_sdk_reads_it():
    base = {"x-b3-traceid": TRACE, "x-b3-spanid": SPAN}
    cases = [({**base, "x-b3-sampled": "1"}, SAMPLED), ({**base, "x-b3-sampled": "0"}, 0),
             ({**base, "x-b3-sampled": "true"}, SAMPLED), ({**base, "x-b3-flags": "1"},
                                                           SAMPLED | DEBUG)]
    for (fields, flags), answer in zip(cases, ours(B3_MULTI, (c[0] for c in cases))):
        assert answer == (TRACE, SPAN, flags, "")
        assert theirs(B3MultiFormat(), fields) == (TRACE, SPAN, flags & SAMPLED)


def test_the_sdk_reads_every_field_that_we_write():
    for flags in (0, 1):
        answer, = ask(f"inject {W3C + B3 + B3_MULTI + JAEGER} 00-{TRACE}-{SPAN}-0{flags}")
        fields = dict(field.split("=", 1) for field in answer.strip("\t").split("\t"))
        assert len(fields) == 6
        for propagator, names in (
                (TraceContextTextMapPropagator(), ["traceparent"]), (B3SingleFormat(), ["b3"]),
                (B3MultiFormat(), [n for n in fields if n.startswith("x-b3-")]),
                (JaegerPropagator(), ["uber-trace-id"])):
            assert theirs(propagator, {n: fields[n] for n in names}) == (TRACE, SPAN, flags)


def test_ratios_keep_the_very_traces_that_the_sdk_keeps():
    dice = random.Random(SEED)
    asked = [(dice.choice([0, 1, 0.5, 0.1, 0.01, 0.999, dice.random()]), dice.getrandbits(128))
             for _ in range(3000)]
    answers = ask(*(f"ratio {ratio!r} {trace_id:032x}" for ratio, trace_id in asked))
    for (ratio, trace_id), answer in zip(asked, answers):
        decision = TraceIdRatioBased(ratio).should_sample(None, trace_id, "s").decision
        assert (answer == "1") == (decision == Decision.RECORD_AND_SAMPLE), (ratio, trace_id)


def value_of(any_value):
    """An AnyValue as Python's own."""
    kind = any_value.WhichOneof("value")
    if kind is None:
        return None
    value = getattr(any_value, kind)
    if kind == "array_value":
        return [value_of(v) for v in value.values]
    if kind == "kvlist_value":
        return attributes_of(value.values)
    return value


def attributes_of(pairs):
    assert len({p.key for p in pairs}) == len(pairs)
    return {p.key: value_of(p.value) for p in pairs}


def test_our_spans_are_what_the_protocol_says():
    answer, = ask("span")
    span = Span.FromString(bytes.fromhex(answer))
    assert len(UnknownFieldSet(span)) == 0
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (TRACE, SPAN)
    assert len(span.span_id) == 8 and any(span.span_id)
    assert (span.name, span.kind, span.trace_state) == ("GET /orders/:id", Span.SPAN_KIND_SERVER,
                                                        "a=b")
    assert span.start_time_unix_nano == 1700000000000000001 <= span.end_time_unix_nano
    assert span.flags == 0x303
    assert attributes_of(span.attributes) == {
        "text": "café \ufffd", "low": -2**63, "big": str(2**64 - 1), "half": -0.5, "yes": True,
        "no": False, "again": "2", "json": {"a": [1, "x", None, {"b": 2.5}]}, "list": ["a", "b"]}
    assert span.dropped_attributes_count == 1
    event, exception = span.events
    assert (event.name, attributes_of(event.attributes)) == ("event", {"n": 1})
    assert (exception.name, attributes_of(exception.attributes)) == (
        "exception", {"exception.type": "timeout", "exception.message": "too late"})
    assert span.dropped_events_count == 1
    link, = span.links
    assert (link.trace_id.hex(), link.span_id.hex(), link.trace_state) == (TRACE, SPAN, "a=b")
    assert (link.flags, attributes_of(link.attributes)) == (0x303, {"n": 1})
    assert span.dropped_links_count == 1
    assert (span.status.code, span.status.message) == (Status.STATUS_CODE_ERROR, "too late")
