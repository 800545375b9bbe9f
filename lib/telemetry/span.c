/* span.c - the life of a span: start, what is set on it, end.
 *
 * A recorded span has a record (tracer.h) whose `data` grows by one encoded field with each call; a
 * field that may be replaced (the name, the status, an attribute of the same key) is written anew at
 * the end and the old one is cut out. What is only known at the end (times, counts) is written before
 * those bytes when they are copied to the exporter's lane, so an ended span is encoded once and moved
 * once. Source: opentelemetry-proto, trace/v1/trace.proto; OpenTelemetry specification, trace SDK. */
#include <sextant/hash.h>
#include <sextant/mem.h>
#include <sextant/protobuf.h>

#include "telemetry/semconv.h"
#include "telemetry/span_encode.h"
#include "telemetry/trace_hex.h"
#include "telemetry/tracer.h"

/* Field numbers: of Span, Event, Link and Status. */
enum {
    SPAN_TRACE_ID = 1,
    SPAN_ID = 2,
    SPAN_TRACE_STATE = 3,
    SPAN_PARENT_ID = 4,
    SPAN_NAME = 5,
    SPAN_KIND = 6,
    SPAN_START = 7,
    SPAN_END = 8,
    SPAN_ATTRIBUTE = 9,
    SPAN_ATTRIBUTES_DROPPED = 10,
    SPAN_EVENT = 11,
    SPAN_EVENTS_DROPPED = 12,
    SPAN_LINK = 13,
    SPAN_LINKS_DROPPED = 14,
    SPAN_STATUS = 15,
    SPAN_FLAGS = 16,
    EVENT_TIME = 1,
    EVENT_NAME = 2,
    EVENT_ATTRIBUTE = 3,
    EVENT_ATTRIBUTES_DROPPED = 4,
    LINK_TRACE_ID = 1,
    LINK_SPAN_ID = 2,
    LINK_TRACE_STATE = 3,
    LINK_ATTRIBUTE = 4,
    LINK_ATTRIBUTES_DROPPED = 5,
    LINK_FLAGS = 6,
    STATUS_MESSAGE = 2,
    STATUS_CODE = 3
};

/* OTLP's flags beside W3C's: the parent (of a link: the other span) is known to be remote or not. */
enum { FLAG_HAS_REMOTE = 0x100, FLAG_REMOTE = 0x200 };

/* What a span may hold is its span_bytes_max less what is kept free: the head written at the end,
 * and a name and a status, which must find room however full the span is, each twice while it is
 * replaced. */
enum {
    HEAD_BYTES_MAX = 160,
    NAME_BYTES_MAX = 1024,
    MESSAGE_BYTES_MAX = 1024,
    KEPT_FREE = HEAD_BYTES_MAX + 2 * (NAME_BYTES_MAX + 16) + 2 * (MESSAGE_BYTES_MAX + 16)
};

static uint32_t wire_flags(const sx_span_context *c, bool remote)
{
    return (c->flags & SX_TRACE_W3C) | FLAG_HAS_REMOTE | (remote ? FLAG_REMOTE : 0u);
}

/* ---- the record's bytes ---- */

/* Ends an addition that began at `mark`: takes it back if there was no memory or no room for it. */
static bool keep_added(sx_span_record *r, size_t mark, size_t bytes_max)
{
    if (sx_likely(!r->data.failed && r->data.len <= bytes_max))
        return true;
    r->data.failed = r->data.hit_limit = false;
    r->data.len = mark;
    return false;
}

static size_t room_for_most(const sx_span *span)
{
    return span->tracer->span_bytes_max - KEPT_FREE;
}

static void move_part(sx_span_part *part, uint32_t beyond, uint32_t by)
{
    if (part->len > 0 && part->at > beyond)
        part->at -= by;
}

/* Cuts a part out of the data; whatever lies behind it moves up. */
static void cut_out(sx_span_record *r, sx_span_part gone)
{
    size_t behind = (size_t)gone.at + gone.len;
    memmove(r->data.data + gone.at, r->data.data + behind, r->data.len - behind);
    r->data.len -= gone.len;
    move_part(&r->name, gone.at, gone.len);
    move_part(&r->status, gone.at, gone.len);
    for (size_t i = 0; i < r->attribute_count; i++) {
        sx_span_attribute *a = &r->attributes[i];
        move_part(&a->part, gone.at, gone.len);
        if (a->key_at > gone.at)
            a->key_at -= gone.len;
    }
}

/* Makes what was added at `mark` the value of `part`, in place of what it was. */
static void replace(sx_span_record *r, sx_span_part *part, size_t mark)
{
    sx_span_part old = *part;
    *part = (sx_span_part){(uint32_t)mark, (uint32_t)(r->data.len - mark)};
    if (old.len > 0)
        cut_out(r, old);
}

static void put_name(sx_span *span, sx_str name)
{
    sx_span_record *r = span->record;
    size_t mark = r->data.len;
    sx_otlp_put_text(&r->data, SPAN_NAME, name, NAME_BYTES_MAX);
    if (keep_added(r, mark, SIZE_MAX))
        replace(r, &r->name, mark);
}

/* ---- attributes ---- */

static sx_span_attribute *find_attribute(sx_span_record *r, sx_str key, uint32_t hash)
{
    for (size_t i = 0; i < r->attribute_count; i++) {
        sx_span_attribute *a = &r->attributes[i];
        if (a->hash == hash && sx_str_eq(key, sx_str_of(r->data.data + a->key_at, a->key_len)))
            return a;
    }
    return NULL;
}

/* Where the key's text lies in an attribute that was just written: after the tag and length of the
 * pair, and the tag and length of the key. A key that had to be repaired is longer than it was
 * given; its written form is what counts from then on. */
static void note_key(sx_span_record *r, sx_span_attribute *a, size_t mark)
{
    sx_pb_reader reader;
    sx_pb_init(&reader, sx_str_of(r->data.data + mark, r->data.len - mark));
    sx_pb_next(&reader);
    sx_pb_enter(&reader);
    sx_pb_next(&reader);
    sx_str key = sx_pb_bytes(&reader);
    a->key_at = (uint32_t)(key.data - r->data.data);
    a->key_len = (uint32_t)key.len;
}

/* What was added at `mark` is an attribute: it takes the place of one of the same key, or is new if
 * there may be more. */
static void adopt_attribute(sx_span *span, size_t mark)
{
    sx_span_record *r = span->record;
    sx_span_attribute new = {.part = {(uint32_t)mark, (uint32_t)(r->data.len - mark)}};
    note_key(r, &new, mark);
    sx_str key = sx_str_of(r->data.data + new.key_at, new.key_len);
    new.hash = (uint32_t)sx_hash(key, 0);
    sx_span_attribute *old = find_attribute(r, key, new.hash);
    if (old) {
        sx_span_part gone = old->part;
        *old = new;
        cut_out(r, gone);
    } else if (r->attribute_count < span->tracer->attributes_max &&
               sx_grow(&r->attributes, &r->attribute_cap, r->attribute_count + 1, sizeof(new))) {
        r->attributes[r->attribute_count++] = new;
    } else {
        r->data.len = mark;
        r->attributes_dropped++;
    }
}

void sx_span_set(sx_span *span, const sx_field *fields, size_t count)
{
    if (!sx_span_recording(span))
        return;
    sx_span_record *r = span->record;
    for (size_t i = 0; i < count; i++) {
        size_t mark = r->data.len;
        if (!fields[i].key || fields[i].key[0] == '\0') {
            r->attributes_dropped++;
            continue;
        }
        sx_otlp_put_attribute(&r->data, SPAN_ATTRIBUTE, &fields[i], span->tracer->value_bytes_max);
        if (keep_added(r, mark, room_for_most(span)))
            adopt_attribute(span, mark);
        else
            r->attributes_dropped++;
    }
}

void sx_span_set_texts(sx_span *span, const char *key, const sx_str *values, size_t count)
{
    if (!sx_span_recording(span))
        return;
    sx_span_record *r = span->record;
    size_t mark = r->data.len;
    if (key && key[0])
        sx_otlp_put_texts(&r->data, SPAN_ATTRIBUTE, sx_str_z(key), values, count,
                          span->tracer->value_bytes_max);
    if (key && key[0] && keep_added(r, mark, room_for_most(span)))
        adopt_attribute(span, mark);
    else
        r->attributes_dropped++;
}

/* Whether a later field has the same key: of an event's attributes the last one counts. */
static bool comes_again(const sx_field *fields, size_t i, size_t count)
{
    for (size_t k = i + 1; k < count; k++)
        if (fields[k].key &&
            (fields[k].key == fields[i].key || strcmp(fields[k].key, fields[i].key) == 0))
            return true;
    return false;
}

/* The attributes of an event or link, and how many were dropped. */
static void put_inner_attributes(sx_span *span, uint32_t field, const sx_field *fields,
                                 size_t count, uint32_t dropped_field)
{
    sx_buf *b = &span->record->data;
    uint32_t kept = 0, dropped = 0;
    for (size_t i = 0; i < count; i++) {
        if (!fields[i].key || fields[i].key[0] == '\0' ||
            kept == span->tracer->event_attributes_max) {
            dropped++;
        } else if (!comes_again(fields, i, count)) {
            sx_otlp_put_attribute(b, field, &fields[i], span->tracer->value_bytes_max);
            kept++;
        }
    }
    if (dropped > 0)
        sx_pb_put_u64(b, dropped_field, dropped);
}

/* ---- start ---- */

/* A non-sampled span costs its ids: neither clock nor memory is asked. */
static bool decide(sx_span *span, sx_tracer *tracer, const sx_span_options *o)
{
    sx_sampler_question q = {span->context.trace_id, o->parent, o, tracer->coarse_clock};
    sx_sampler *sampler = __atomic_load_n(&tracer->sampler, __ATOMIC_ACQUIRE);
    bool sampled = sx_sampler_decide(sampler, &q);
    sx_counter *counter = sampled ? tracer->sampled : tracer->dropped;
    if (counter)
        sx_counter_add(counter, 1);
    return sampled;
}

static void record_start(sx_span *span, const sx_span_options *o, bool has_parent)
{
    sx_tracer *tracer = span->tracer;
    sx_span_record *r = span->record;
    r->start_wall_ns = o->start_wall_ns ? o->start_wall_ns : sx_clock_ns(tracer->clock);
    if (r->start_wall_ns < 0)
        r->start_wall_ns = 0; /* OTLP has no time before 1970 */
    span->start_mono_ns = o->start_mono_ns ? o->start_mono_ns : sx_clock_mono_ns(tracer->clock);
    r->kind = (uint8_t)(o->kind ? o->kind : SX_SPAN_INTERNAL);
    r->outcome = SX_SPAN_UNSET;
    r->flags = wire_flags(&span->context, has_parent && o->parent->remote);
    put_name(span, o->name);
    sx_str state = span->context.tracestate;
    size_t mark = r->data.len;
    if (state.len > 0) {
        sx_otlp_put_text(&r->data, SPAN_TRACE_STATE, state, SX_TRACESTATE_MAX);
        keep_added(r, mark, SIZE_MAX);
    }
    sx_span_set(span, o->attributes, o->attribute_count);
    for (size_t i = 0; i < o->link_count; i++)
        sx_span_link_add(span, &o->links[i]);
}

static void start_span(sx_span *span, sx_tracer *tracer, const sx_span_options *options,
                       bool may_be_sampled)
{
    const sx_span_context *parent = options->parent;
    bool has_parent = sx_span_context_valid(parent);
    sx_assert(parent != &span->context);
    memset(span, 0, sizeof(*span));
    if (has_parent)
        span->context = *parent;
    if (!tracer)
        return;
    span->tracer = tracer;
    span->context.remote = false;
    if (has_parent) {
        memcpy(span->parent_id, parent->span_id, SX_SPAN_ID_BYTES);
        sx_tracer_ids(tracer, NULL, span->context.span_id);
    } else {
        sx_tracer_ids(tracer, span->context.trace_id, span->context.span_id);
        span->context.flags = SX_TRACE_RANDOM;
    }
    bool sampled = may_be_sampled && decide(span, tracer, options);
    unsigned debug = parent && sampled ? parent->flags & SX_TRACE_DEBUG : 0u;
    span->context.flags = (uint8_t)((span->context.flags & SX_TRACE_RANDOM) | debug |
                                    (sampled ? SX_TRACE_SAMPLED : 0));
    if (!sampled || !tracer->sink)
        return;
    span->record = sx_tracer_take(tracer);
    if (span->record)
        record_start(span, options, has_parent);
}

void sx_span_start(sx_span *span, sx_tracer *tracer, const sx_span_options *options)
{
    start_span(span, tracer, options, true);
}

void sx_span_start_unsampled(sx_span *span, sx_tracer *tracer, const sx_span_options *options)
{
    start_span(span, tracer, options, false);
}

/* ---- what is set on it ---- */

void sx_span_rename(sx_span *span, sx_str name)
{
    if (sx_span_recording(span))
        put_name(span, name);
}

/* How long the span has lasted: by the monotonic clock, so never negative nor changed by whoever
 * sets the wall clock. A test's clock may fall; then it is no time. */
static int64_t elapsed_ns(const sx_span *span)
{
    int64_t elapsed;
    int64_t now = sx_clock_mono_ns(span->tracer->clock);
    if (__builtin_sub_overflow(now, span->start_mono_ns, &elapsed) || elapsed < 0)
        return 0;
    return elapsed;
}

static uint64_t wall_now(const sx_span *span)
{
    int64_t now;
    if (__builtin_add_overflow(span->record->start_wall_ns, elapsed_ns(span), &now))
        return INT64_MAX;
    return (uint64_t)now;
}

void sx_span_event(sx_span *span, sx_str name, const sx_field *fields, size_t count)
{
    if (!sx_span_recording(span))
        return;
    sx_span_record *r = span->record;
    size_t mark = r->data.len;
    if (r->events == span->tracer->events_max) {
        r->events_dropped++;
        return;
    }
    size_t event = sx_pb_begin(&r->data, SPAN_EVENT);
    sx_pb_put_fixed64(&r->data, EVENT_TIME, wall_now(span));
    sx_otlp_put_text(&r->data, EVENT_NAME, name, NAME_BYTES_MAX);
    put_inner_attributes(span, EVENT_ATTRIBUTE, fields, count, EVENT_ATTRIBUTES_DROPPED);
    sx_pb_end(&r->data, event);
    if (keep_added(r, mark, room_for_most(span)))
        r->events++;
    else
        r->events_dropped++;
}

void sx_span_error(sx_span *span, sx_str type, sx_str message)
{
    const sx_field fields[] = {sx_field_str(SX_ATTR_EXCEPTION_TYPE, type),
                               sx_field_str(SX_ATTR_EXCEPTION_MESSAGE, message)};
    sx_span_event(span, SX_STR(SX_EVENT_EXCEPTION), fields, SX_COUNT_OF(fields));
    sx_span_outcome_set(span, SX_SPAN_ERROR, message);
}

static void put_id(sx_buf *b, uint32_t field, const uint8_t *id, size_t len)
{
    sx_pb_put_str(b, field, sx_str_of(id, len));
}

void sx_span_link_add(sx_span *span, const sx_span_link *link)
{
    if (!sx_span_recording(span))
        return;
    sx_span_record *r = span->record;
    const sx_span_context *c = &link->context;
    size_t mark = r->data.len;
    if (r->links == span->tracer->links_max || !sx_span_context_valid(c)) {
        r->links_dropped++;
        return;
    }
    size_t begun = sx_pb_begin(&r->data, SPAN_LINK);
    put_id(&r->data, LINK_TRACE_ID, c->trace_id, SX_TRACE_ID_BYTES);
    put_id(&r->data, LINK_SPAN_ID, c->span_id, SX_SPAN_ID_BYTES);
    if (c->tracestate.len > 0)
        sx_otlp_put_text(&r->data, LINK_TRACE_STATE, c->tracestate, SX_TRACESTATE_MAX);
    put_inner_attributes(span, LINK_ATTRIBUTE, link->attributes, link->attribute_count,
                         LINK_ATTRIBUTES_DROPPED);
    sx_pb_put_fixed32(&r->data, LINK_FLAGS, wire_flags(c, c->remote));
    sx_pb_end(&r->data, begun);
    if (keep_added(r, mark, room_for_most(span)))
        r->links++;
    else
        r->links_dropped++;
}

void sx_span_outcome_set(sx_span *span, sx_span_outcome outcome, sx_str message)
{
    if (!sx_span_recording(span))
        return;
    sx_span_record *r = span->record;
    if (outcome == SX_SPAN_UNSET || r->outcome == SX_SPAN_OK)
        return;
    size_t mark = r->data.len;
    size_t status = sx_pb_begin(&r->data, SPAN_STATUS);
    if (outcome == SX_SPAN_ERROR && message.len > 0)
        sx_otlp_put_text(&r->data, STATUS_MESSAGE, message, MESSAGE_BYTES_MAX);
    sx_pb_put_u64(&r->data, STATUS_CODE, outcome);
    sx_pb_end(&r->data, status);
    if (!keep_added(r, mark, SIZE_MAX))
        return;
    r->outcome = (uint8_t)outcome;
    replace(r, &r->status, mark);
}

/* ---- end ---- */

static char *head_fixed64(char *at, uint32_t field, uint64_t value)
{
    at = sx_pb_put_varint(at, SX_PB_TAG(field, SX_PB_FIXED64));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    value = __builtin_bswap64(value);
#endif
    memcpy(at, &value, sizeof(value));
    return at + sizeof(value);
}

static char *head_id(char *at, uint32_t field, const uint8_t *id, size_t len)
{
    at = sx_pb_put_varint(at, SX_PB_TAG(field, SX_PB_BYTES));
    at = sx_pb_put_varint(at, len);
    memcpy(at, id, len);
    return at + len;
}

static char *head_number(char *at, uint32_t field, uint64_t value)
{
    at = sx_pb_put_varint(at, SX_PB_TAG(field, SX_PB_VARINT));
    return sx_pb_put_varint(at, value);
}

static char *head_count(char *at, uint32_t field, uint32_t value)
{
    return value > 0 ? head_number(at, field, value) : at;
}

/* What is known only now; at most HEAD_BYTES_MAX. */
static char *put_head(const sx_span *span, char *at)
{
    const sx_span_record *r = span->record;
    at = head_id(at, SPAN_TRACE_ID, span->context.trace_id, SX_TRACE_ID_BYTES);
    at = head_id(at, SPAN_ID, span->context.span_id, SX_SPAN_ID_BYTES);
    if (sx_span_id_set(span->parent_id))
        at = head_id(at, SPAN_PARENT_ID, span->parent_id, SX_SPAN_ID_BYTES);
    at = head_number(at, SPAN_KIND, r->kind);
    at = head_fixed64(at, SPAN_START, (uint64_t)r->start_wall_ns);
    at = head_fixed64(at, SPAN_END, wall_now(span));
    at = head_count(at, SPAN_ATTRIBUTES_DROPPED, r->attributes_dropped);
    at = head_count(at, SPAN_EVENTS_DROPPED, r->events_dropped);
    at = head_count(at, SPAN_LINKS_DROPPED, r->links_dropped);
    at = sx_pb_put_varint(at, SX_PB_TAG(SPAN_FLAGS, SX_PB_FIXED32));
    for (unsigned shift = 0; shift < 32; shift += 8)
        *at++ = (char)(r->flags >> shift);
    return at;
}

void sx_span_end(sx_span *span)
{
    if (!sx_span_recording(span))
        return;
    sx_tracer *tracer = span->tracer;
    sx_span_record *r = span->record;
    char *room = tracer->sink->room(tracer->sink_to, HEAD_BYTES_MAX + r->data.len);
    if (room) {
        char *at = put_head(span, room);
        sx_assert(at <= room + HEAD_BYTES_MAX);
        memcpy(at, r->data.data, r->data.len);
        tracer->sink->commit(tracer->sink_to, (size_t)(at - room) + r->data.len);
    }
    sx_span_drop(span);
}

void sx_span_drop(sx_span *span)
{
    if (!sx_span_recording(span))
        return;
    sx_tracer_give(span->tracer, span->record);
    span->record = NULL;
}
