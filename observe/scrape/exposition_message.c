/* exposition_message.c - reads io.prometheus.client messages into arrays that are used again for the next
 * metric. Source: io/prometheus/client/metrics.proto. */
#include <sextant/mem.h>
#include <sextant/utf8.h>

#include "observe/scrape/exposition_protobuf.h"

#define PUSH(p, vec, ...)                                                                          \
    (sx_grow(&(vec).items, &(vec).cap, (vec).count + 1, sizeof *(vec).items)                       \
         ? (void)((vec).items[(vec).count++] = __VA_ARGS__)                                        \
         : (void)((p)->failed = true))

/* --- Parts of the messages. */

static void read_label(struct expo_protobuf *p, sx_pb_reader *r)
{
    tsdb_label l = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            l.name = sx_pb_bytes(r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            l.value = sx_pb_bytes(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    PUSH(p, p->labels, l);
}

/* google.protobuf.Timestamp as milliseconds. */
static int64_t read_timestamp(sx_pb_reader *r)
{
    int64_t seconds = 0, nanos = 0;
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            seconds = sx_pb_i64(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            nanos = sx_pb_i64(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    if (seconds > INT64_MAX / 1000 - 1 || seconds < INT64_MIN / 1000 + 1)
        return 0;
    return seconds * 1000 + nanos / 1000000;
}

/* gauge, untyped: value = 1; counter: also exemplar = 2, start timestamp = 3. */
static void read_value(struct expo_protobuf *p, sx_pb_reader *r)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_FIXED64):
            p->value = sx_pb_double(r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            p->exemplar = sx_pb_bytes(r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            p->start_t = read_timestamp(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

static void read_quantile(struct expo_protobuf *p, sx_pb_reader *r)
{
    quantile q = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_FIXED64):
            q.bound = sx_pb_double(r);
            break;
        case SX_PB_TAG(2, SX_PB_FIXED64):
            q.value = sx_pb_double(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    PUSH(p, p->quantiles, q);
}

static void read_summary(struct expo_protobuf *p, sx_pb_reader *r)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            p->count = (double)sx_pb_varint(r);
            break;
        case SX_PB_TAG(2, SX_PB_FIXED64):
            p->sum = sx_pb_double(r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            read_quantile(p, r);
            break;
        case SX_PB_TAG(4, SX_PB_BYTES):
            p->start_t = read_timestamp(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
}

static void read_bucket(struct expo_protobuf *p, sx_pb_reader *r)
{
    quantile q = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT): {
            double count = (double)sx_pb_varint(r);
            q.value = q.value != 0 ? q.value : count;
            break;
        }
        case SX_PB_TAG(2, SX_PB_FIXED64):
            q.bound = sx_pb_double(r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            q.exemplar = sx_pb_bytes(r);
            break;
        case SX_PB_TAG(4, SX_PB_FIXED64): {
            double count = sx_pb_double(r);
            q.value = count != 0 ? count : q.value;
            break;
        }
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    PUSH(p, p->quantiles, q);
}

static void read_span(struct expo_protobuf *p, sx_pb_reader *r, int side)
{
    tsdb_span s = {0};
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        switch (r->tag) {
        case SX_PB_TAG(1, SX_PB_VARINT):
            s.offset = (int32_t)sx_pb_zigzag(r);
            break;
        case SX_PB_TAG(2, SX_PB_VARINT):
            s.length = (uint32_t)sx_pb_varint(r);
            break;
        default:
            sx_pb_skip(r);
        }
    }
    sx_pb_leave(r, outer);
    PUSH(p, p->spans[side], s);
}

/* Deltas become absolute counts as they come; packed or one by one. */
static void add_delta(struct expo_protobuf *p, int side, int64_t delta)
{
    size_t n = p->counts[side].count;
    double before = n ? p->counts[side].items[n - 1] : 0;
    PUSH(p, p->counts[side], before + (double)delta);
}

static void read_deltas(struct expo_protobuf *p, sx_pb_reader *r, int side)
{
    sx_pb_reader list;
    sx_pb_init(&list, sx_pb_bytes(r));
    while (list.at < list.end)
        add_delta(p, side, sx_pb_zigzag(&list));
    if (list.fault)
        sx_pb_set_fault(r, (sx_pb_fault)list.fault);
}

static void read_doubles(struct expo_protobuf *p, sx_pb_reader *r, int side)
{
    sx_pb_reader list;
    sx_pb_init(&list, sx_pb_bytes(r));
    while (list.at < list.end)
        PUSH(p, p->float_counts[side], sx_pb_double(&list));
    if (list.fault)
        sx_pb_set_fault(r, (sx_pb_fault)list.fault);
}

/* The fields of Histogram that are about the classic form. True: it was one of them. */
static bool read_classic_field(struct expo_protobuf *p, sx_pb_reader *r)
{
    double number;
    switch (r->tag) {
    case SX_PB_TAG(1, SX_PB_VARINT):
        number = (double)sx_pb_varint(r);
        p->count = p->is_float ? p->count : number;
        return true;
    case SX_PB_TAG(2, SX_PB_FIXED64):
        p->sum = sx_pb_double(r);
        return true;
    case SX_PB_TAG(3, SX_PB_BYTES):
        read_bucket(p, r);
        return true;
    case SX_PB_TAG(4, SX_PB_FIXED64):
        number = sx_pb_double(r);
        if (number > 0) {
            p->count = number;
            p->is_float = true;
        }
        return true;
    case SX_PB_TAG(15, SX_PB_BYTES):
        p->start_t = read_timestamp(r);
        return true;
    default:
        return false;
    }
}

static void read_native_field(struct expo_protobuf *p, sx_pb_reader *r)
{
    double number;
    switch (r->tag) {
    case SX_PB_TAG(5, SX_PB_VARINT):
        p->schema = (int32_t)sx_pb_zigzag(r);
        break;
    case SX_PB_TAG(6, SX_PB_FIXED64):
        p->zero_threshold = sx_pb_double(r);
        break;
    case SX_PB_TAG(7, SX_PB_VARINT):
        number = (double)sx_pb_varint(r);
        p->has_zero |= number > 0;
        p->zero_count = p->zero_count != 0 ? p->zero_count : number;
        break;
    case SX_PB_TAG(8, SX_PB_FIXED64):
        number = sx_pb_double(r);
        if (number > 0) {
            p->zero_count = number;
            p->is_float = true;
        }
        break;
    case SX_PB_TAG(9, SX_PB_BYTES):
    case SX_PB_TAG(12, SX_PB_BYTES):
        read_span(p, r, sx_pb_field(r) == 12);
        break;
    case SX_PB_TAG(10, SX_PB_BYTES):
    case SX_PB_TAG(13, SX_PB_BYTES):
        read_deltas(p, r, sx_pb_field(r) == 13);
        break;
    case SX_PB_TAG(10, SX_PB_VARINT):
    case SX_PB_TAG(13, SX_PB_VARINT): {
        int side = sx_pb_field(r) == 13;
        add_delta(p, side, sx_pb_zigzag(r));
        break;
    }
    case SX_PB_TAG(11, SX_PB_BYTES):
    case SX_PB_TAG(14, SX_PB_BYTES):
        read_doubles(p, r, sx_pb_field(r) == 14);
        break;
    case SX_PB_TAG(11, SX_PB_FIXED64):
    case SX_PB_TAG(14, SX_PB_FIXED64): {
        int side = sx_pb_field(r) == 14;
        PUSH(p, p->float_counts[side], sx_pb_double(r));
        break;
    }
    case SX_PB_TAG(16, SX_PB_BYTES):
        PUSH(p, p->exemplar_messages, sx_pb_bytes(r));
        break;
    default:
        sx_pb_skip(r);
    }
}

static void read_histogram(struct expo_protobuf *p, sx_pb_reader *r)
{
    sx_pb_outer outer = sx_pb_enter(r);
    while (sx_pb_next(r)) {
        if (!read_classic_field(p, r))
            read_native_field(p, r);
    }
    sx_pb_leave(r, outer);
}

/* --- A metric. */

static void clear_metric(struct expo_protobuf *p)
{
    p->labels.count = p->quantiles.count = p->exemplar_messages.count = p->exemplars.count = 0;
    for (int side = 0; side < 2; side++)
        p->spans[side].count = p->counts[side].count = p->float_counts[side].count = 0;
    p->value = p->sum = p->count = p->zero_threshold = p->zero_count = 0;
    p->is_float = p->has_zero = false;
    p->schema = 0;
    p->start_t = p->t = 0;
    p->exemplar = (sx_str){0};
    p->step = 0;
}

/* The number of the field in Metric that holds a type's value. */
static const uint32_t VALUE_FIELD[EXPO_TYPES] = {
    [EXPO_GAUGE] = 2,   [EXPO_COUNTER] = 3,   [EXPO_SUMMARY] = 4,
    [EXPO_UNKNOWN] = 5, [EXPO_HISTOGRAM] = 7, [EXPO_GAUGEHISTOGRAM] = 7,
};

static void read_metric(struct expo_protobuf *p, sx_pb_reader *r)
{
    sx_pb_outer outer = sx_pb_enter(r);
    clear_metric(p);
    while (sx_pb_next(r)) {
        uint32_t field = sx_pb_field(r);
        bool message = sx_pb_wire_of(r) == SX_PB_BYTES;
        if (field == 1 && message)
            read_label(p, r);
        else if (r->tag == SX_PB_TAG(6, SX_PB_VARINT))
            p->t = sx_pb_i64(r);
        else if (field != VALUE_FIELD[p->type] || !message)
            sx_pb_skip(r);
        else if (p->type == EXPO_SUMMARY)
            read_summary(p, r);
        else if (field == 7)
            read_histogram(p, r);
        else
            read_value(p, r);
    }
    sx_pb_leave(r, outer);
}

/* --- A family. */

static expo_type type_of(uint64_t number)
{
    static const expo_type TYPES[] = {EXPO_COUNTER, EXPO_GAUGE,     EXPO_SUMMARY,
                                      EXPO_UNKNOWN, EXPO_HISTOGRAM, EXPO_GAUGEHISTOGRAM};
    return number < SX_COUNT_OF(TYPES) ? TYPES[number] : EXPO_TYPES;
}

/* Reads the head; the metrics are read in a second pass. */
static sx_status read_family(struct expo_protobuf *p, sx_str message, sx_error *err)
{
    sx_pb_reader r;
    uint64_t type = 0;
    p->name = p->help = p->unit = (sx_str){0};
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            p->name = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(2, SX_PB_BYTES):
            p->help = sx_pb_bytes(&r);
            break;
        case SX_PB_TAG(3, SX_PB_VARINT):
            type = sx_pb_varint(&r);
            break;
        case SX_PB_TAG(5, SX_PB_BYTES):
            p->unit = sx_pb_bytes(&r);
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    sx_status st = sx_pb_status(&r, "a metric family", err);
    if (st != SX_OK)
        return st;
    sx_str shown = sx_str_first(p->name, 100);
    if (p->name.len == 0 || !sx_utf8_valid(p->name))
        return sx_fail(err, SX_EFORMAT, "invalid metric name: %.*s", SX_ARG(shown));
    if (!sx_utf8_valid(p->help))
        return sx_fail(err, SX_EFORMAT, "invalid help for metric \"%.*s\"", SX_ARG(shown));
    p->type = type_of(type);
    if (p->type == EXPO_TYPES)
        return sx_fail(err, SX_EFORMAT, "unknown metric type for metric \"%.*s\": %llu",
                       SX_ARG(shown), (unsigned long long)type);
    sx_pb_init(&p->metrics, message);
    return SX_OK;
}

sx_status expo_message_family(struct expo_protobuf *p, sx_error *err)
{
    if (p->families.at >= p->families.end)
        return sx_pb_status(&p->families, "a metric family", err) == SX_OK ? SX_END : SX_EFORMAT;
    sx_str message = sx_pb_bytes(&p->families);
    sx_status st = sx_pb_status(&p->families, "a metric family", err);
    return st == SX_OK ? read_family(p, message, err) : st;
}

sx_status expo_message_metric(struct expo_protobuf *p, sx_error *err)
{
    sx_pb_reader *r = &p->metrics;
    bool found = false;
    while (!found && sx_pb_next(r)) {
        found = r->tag == SX_PB_TAG(4, SX_PB_BYTES);
        if (found)
            read_metric(p, r);
        else
            sx_pb_skip(r);
    }
    sx_status st = sx_pb_status(r, "a metric", err);
    if (st == SX_OK && p->failed)
        st = sx_fail_memory(err, "a metric");
    return st != SX_OK ? st : found ? SX_OK : SX_END;
}

sx_status expo_message_exemplar(struct expo_protobuf *p, sx_str message, sx_arena *arena,
                                sx_error *err)
{
    tsdb_exemplar e = {0};
    sx_pb_reader r;
    size_t first = p->labels.count; /* borrowed: taken off again below */
    sx_pb_init(&r, message);
    while (sx_pb_next(&r)) {
        switch (r.tag) {
        case SX_PB_TAG(1, SX_PB_BYTES):
            read_label(p, &r);
            break;
        case SX_PB_TAG(2, SX_PB_FIXED64):
            e.value = sx_pb_double(&r);
            break;
        case SX_PB_TAG(3, SX_PB_BYTES):
            e.t = read_timestamp(&r);
            e.has_t = true;
            break;
        default:
            sx_pb_skip(&r);
        }
    }
    size_t count = p->labels.count - first;
    p->labels.count = first;
    sx_status st = sx_pb_status(&r, "an exemplar", err);
    tsdb_label *items = sx_arena_calloc(arena, count ? count : 1, sizeof *items);
    if (st == SX_OK && (!items || p->failed))
        st = sx_fail_memory(err, "an exemplar");
    if (st != SX_OK)
        return st;
    if (count)
        memcpy(items, p->labels.items + first, count * sizeof *items);
    st = tsdb_labels_sort(items, count, &e.labels, err);
    if (st == SX_OK)
        PUSH(p, p->exemplars, e);
    return p->failed ? sx_fail_memory(err, "an exemplar") : st;
}
