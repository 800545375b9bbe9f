/* ui.c - traces as JSON, piece by piece. See ui.h. */
#include "observe/jaeger/ui.h"

#include <math.h>

#include <sextant/hash.h>
#include <sextant/json.h>
#include <sextant/mem.h>

#include "codec/base64.h"

enum { PIECE_BYTES = 64 << 10, INDENT = 4 };

/* --- Pieces. */

void jaeger_ui_init(jaeger_ui *ui, bool pretty, bool (*push)(void *ctx, sx_str piece), void *ctx)
{
    *ui = (jaeger_ui){.pretty = pretty, .push = push, .ctx = ctx};
    sx_buf_init(&ui->out, 0);
    sx_buf_init(&ui->shown, 0);
    sx_arena_init(&ui->arena, PIECE_BYTES, 0);
}

void jaeger_ui_done(jaeger_ui *ui)
{
    sx_buf_done(&ui->out);
    sx_buf_done(&ui->shown);
    sx_arena_done(&ui->arena);
}

static void new_line(jaeger_ui *ui)
{
    sx_buf_byte(&ui->shown, '\n');
    for (unsigned i = 0; i < ui->depth * INDENT; i++)
        sx_buf_byte(&ui->shown, ' ');
}

static void indent_byte(jaeger_ui *ui, char c)
{
    bool close = c == '}' || c == ']';
    if (close)
        ui->depth--;
    if (close ? !ui->opened : ui->opened)
        new_line(ui);
    ui->opened = c == '{' || c == '[';
    ui->depth += ui->opened;
    ui->in_string = c == '"';
    sx_buf_byte(&ui->shown, c);
    if (c == ',')
        new_line(ui);
    else if (c == ':')
        sx_buf_byte(&ui->shown, ' ');
}

/* As Go's MarshalIndent has it; empty lists and objects stay closed. */
static void indent(jaeger_ui *ui, sx_str text)
{
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (!ui->in_string) {
            indent_byte(ui, c);
            continue;
        }
        sx_buf_byte(&ui->shown, c);
        if (ui->escaped)
            ui->escaped = false;
        else if (c == '\\')
            ui->escaped = true;
        else if (c == '"')
            ui->in_string = false;
    }
}

sx_status jaeger_ui_flush(jaeger_ui *ui, sx_error *err)
{
    sx_buf *from = &ui->out;
    if (ui->pretty && !ui->out.failed) {
        indent(ui, sx_buf_view(&ui->out));
        sx_buf_clear(&ui->out);
        from = &ui->shown;
    }
    sx_status status = sx_buf_status(from, "the answer", err);
    if (status != SX_OK)
        return status;
    if (ui->push) {
        ui->gone = ui->gone || !ui->push(ui->ctx, sx_buf_view(from));
        sx_buf_clear(from);
    }
    return ui->gone ? sx_fail(err, SX_ECANCELED, "the client has gone") : SX_OK;
}

static sx_status flush_if_full(jaeger_ui *ui, sx_error *err)
{
    if (ui->out.failed || (ui->push && ui->out.len >= PIECE_BYTES))
        return jaeger_ui_flush(ui, err);
    return SX_OK;
}

/* --- Words. */

void jaeger_put_hex(sx_buf *out, const uint8_t *id, size_t len)
{
    static const char DIGITS[] = "0123456789abcdef";
    char *at = sx_buf_reserve(out, 2 * len);
    if (!at)
        return;
    for (size_t i = 0; i < len; i++) {
        at[2 * i] = DIGITS[id[i] >> 4];
        at[2 * i + 1] = DIGITS[id[i] & 15];
    }
    out->len += 2 * len;
}

static void put_z(sx_buf *out, const char *text)
{
    sx_buf_bytes(out, text, strlen(text));
}

static void put_text(sx_buf *out, sx_str text)
{
    sx_json_quote(out, text, SX_JSON_UTF8);
}

/* What has no literal in JSON becomes its words. */
static void put_double(sx_buf *out, double d)
{
    char text[SX_DOUBLE_BYTES];
    size_t len = sx_double_format(d, SX_DOUBLE_JS, text);
    if (isfinite(d))
        sx_buf_bytes(out, text, len);
    else
        put_text(out, sx_str_of(text, len));
}

static void put_quoted_value(sx_buf *out, const span_value *v)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    span_value_text(v, &text);
    out->failed |= text.failed;
    put_text(out, sx_buf_view(&text));
    sx_buf_done(&text);
}

static void put_tag(sx_buf *out, sx_str key, const span_value *v)
{
    enum { SAFE_BITS = 53 }; /* of an integer in JavaScript */
    static const char *const TYPES[] = {
        [SPAN_EMPTY] = "string", [SPAN_STR] = "string",     [SPAN_BOOL] = "bool",
        [SPAN_INT] = "int64",    [SPAN_DOUBLE] = "float64", [SPAN_BYTES] = "binary",
        [SPAN_LIST] = "string",  [SPAN_MAP] = "string",
    };
    put_z(out, "{\"key\":");
    put_text(out, key);
    put_z(out, ",\"type\":\"");
    put_z(out, TYPES[v->type]);
    put_z(out, "\",\"value\":");
    if (v->type == SPAN_STR) {
        put_text(out, span_value_str(v));
    } else if (v->type == SPAN_BOOL) {
        put_z(out, v->i ? "true" : "false");
    } else if (v->type == SPAN_INT) {
        bool safe = v->i < INT64_C(1) << SAFE_BITS && v->i > -(INT64_C(1) << SAFE_BITS);
        put_z(out, safe ? "" : "\"");
        sx_buf_i64(out, v->i);
        put_z(out, safe ? "" : "\"");
    } else if (v->type == SPAN_DOUBLE) {
        put_double(out, v->d);
    } else {
        put_quoted_value(out, v);
    }
    sx_buf_byte(out, '}');
}

typedef struct tag_list {
    sx_buf *out;
    bool comma;
} tag_list;

static bool add_tag(void *ctx, sx_str key, const span_value *value)
{
    tag_list *l = ctx;
    if (l->comma)
        sx_buf_byte(l->out, ',');
    l->comma = true;
    put_tag(l->out, key, value);
    return true;
}

static void put_attrs(tag_list *l, span_attrs attrs)
{
    for (uint32_t i = 0; i < attrs.count; i++)
        add_tag(l, span_attr_key(&attrs.items[i]), &attrs.items[i].value);
}

/* --- Processes: resources that say the same are one, numbered as they come. */

typedef struct processes {
    const span_resource **items;
    size_t count, cap;
    uint32_t *slots; /* open addressing: index + 1 */
    size_t mask;
    sx_arena *arena;
    const span_resource *last;
    uint32_t last_number;
} processes;

static uint64_t hash_attrs(span_attrs attrs)
{
    uint64_t h = attrs.count;
    for (uint32_t i = 0; i < attrs.count; i++) {
        const span_attr *a = &attrs.items[i];
        h = sx_hash_bytes(a->key, a->key_len, h);
        if (a->value.type == SPAN_STR)
            h = sx_hash_bytes(a->value.data, a->value.len, h);
        else if (a->value.type == SPAN_INT)
            h = sx_hash_u64((uint64_t)a->value.i, h);
    }
    return h;
}

static void insert(processes *p, uint32_t index)
{
    size_t at = (size_t)hash_attrs(p->items[index]->attrs) & p->mask;
    while (p->slots[at])
        at = (at + 1) & p->mask;
    p->slots[at] = index + 1;
}

static bool grow(processes *p)
{
    size_t size = p->slots ? (p->mask + 1) * 2 : 16;
    if (p->slots && p->count * 2 <= p->mask)
        return true;
    p->slots = sx_arena_calloc(p->arena, size, sizeof *p->slots);
    if (!p->slots)
        return false;
    p->mask = size - 1;
    for (size_t i = 0; i < p->count; i++)
        insert(p, (uint32_t)i);
    return true;
}

/* The number of a resource, from 1; 0: no memory. */
static uint32_t process_of(processes *p, const span_resource *r)
{
    if (r == p->last)
        return p->last_number;
    if (!grow(p))
        return 0;
    size_t at = (size_t)hash_attrs(r->attrs) & p->mask;
    while (p->slots[at] && !span_attrs_eq(p->items[p->slots[at] - 1]->attrs, r->attrs))
        at = (at + 1) & p->mask;
    if (!p->slots[at]) {
        if (!sx_arena_grow(p->arena, &p->items, &p->cap, p->count + 1, sizeof *p->items))
            return 0;
        p->items[p->count++] = r;
        p->slots[at] = (uint32_t)p->count;
    }
    p->last = r;
    p->last_number = p->slots[at];
    return p->last_number;
}

static void put_process(sx_buf *out, const span_resource *r)
{
    tag_list l = {.out = out};
    put_z(out, "{\"serviceName\":");
    put_text(out, jaeger_service_name(r));
    put_z(out, ",\"tags\":[");
    for (uint32_t i = 0; i < r->attrs.count; i++)
        if (!sx_str_eq(span_attr_key(&r->attrs.items[i]), SX_STR("service.name")))
            add_tag(&l, span_attr_key(&r->attrs.items[i]), &r->attrs.items[i].value);
    put_z(out, "]}");
}

/* --- Spans. */

static void put_reference(sx_buf *out, const char *type, const uint8_t trace_id[16],
                          const uint8_t span_id[8])
{
    put_z(out, "{\"refType\":\"");
    put_z(out, type);
    put_z(out, "\",\"traceID\":\"");
    jaeger_put_hex(out, trace_id, 16);
    put_z(out, "\",\"spanID\":\"");
    jaeger_put_hex(out, span_id, 8);
    put_z(out, "\"}");
}

static void put_references(sx_buf *out, const span *s)
{
    static const uint8_t NONE[8];
    bool parent = memcmp(s->parent, NONE, sizeof NONE) != 0;
    sx_buf_byte(out, '[');
    if (parent)
        put_reference(out, "CHILD_OF", s->trace_id, s->parent);
    for (uint32_t i = 0; i < s->link_count; i++) {
        const span_link *l = &s->links[i];
        const span_value *type = span_attrs_find(l->attrs, SX_STR("opentracing.ref_type"));
        bool child = type && sx_str_eq(span_value_str(type), SX_STR("child_of"));
        if (i || parent)
            sx_buf_byte(out, ',');
        put_reference(out, child ? "CHILD_OF" : "FOLLOWS_FROM", l->trace_id, l->span_id);
    }
    sx_buf_byte(out, ']');
}

static void put_logs(sx_buf *out, const span *s)
{
    sx_buf_byte(out, '[');
    for (uint32_t i = 0; i < s->event_count; i++) {
        const span_event *e = &s->events[i];
        tag_list l = {.out = out};
        put_z(out, i ? ",{\"timestamp\":" : "{\"timestamp\":");
        sx_buf_u64(out, e->time_ns / 1000);
        put_z(out, ",\"fields\":[");
        if (e->name.len && !span_attrs_find(e->attrs, SX_STR("event"))) {
            span_value name = {
                .data = e->name.data, .len = (uint32_t)e->name.len, .type = SPAN_STR};
            add_tag(&l, SX_STR("event"), &name);
        }
        put_attrs(&l, e->attrs);
        put_z(out, "]}");
    }
    sx_buf_byte(out, ']');
}

static void put_notes(sx_buf *out, const jaeger_notes *notes)
{
    if (!notes || notes->count == 0) {
        put_z(out, "null");
        return;
    }
    for (uint32_t i = 0; i < notes->count; i++) {
        sx_buf_byte(out, i ? ',' : '[');
        put_text(out, notes->items[i]);
    }
    sx_buf_byte(out, ']');
}

static void put_span(sx_buf *out, const span *s, uint32_t process, const jaeger_notes *notes)
{
    tag_list l = {.out = out};
    put_z(out, "{\"traceID\":\"");
    jaeger_put_hex(out, s->trace_id, 16);
    put_z(out, "\",\"spanID\":\"");
    jaeger_put_hex(out, s->id, 8);
    put_z(out, "\",\"operationName\":");
    put_text(out, jaeger_operation_name(s));
    put_z(out, ",\"references\":");
    put_references(out, s);
    put_z(out, ",\"startTime\":");
    sx_buf_u64(out, s->start_ns / 1000);
    put_z(out, ",\"duration\":");
    sx_buf_u64(out, s->end_ns > s->start_ns ? (s->end_ns - s->start_ns) / 1000 : 0);
    put_z(out, ",\"tags\":[");
    jaeger_span_tags(s, add_tag, &l);
    put_z(out, "],\"logs\":");
    put_logs(out, s);
    put_z(out, ",\"processID\":\"p");
    sx_buf_u64(out, process);
    put_z(out, "\",\"warnings\":");
    put_notes(out, notes);
    sx_buf_byte(out, '}');
}

/* --- The answer. */

void jaeger_ui_begin(jaeger_ui *ui)
{
    put_z(&ui->out, "{\"data\":[");
}

sx_status jaeger_ui_trace(jaeger_ui *ui, const span_batch *trace, const jaeger_notes *notes,
                          sx_error *err)
{
    sx_buf *out = &ui->out;
    sx_arena_reset(&ui->arena);
    processes p = {.arena = &ui->arena};
    if (trace->count == 0)
        return SX_OK;
    put_z(out, ui->traces++ ? ",{\"traceID\":\"" : "{\"traceID\":\"");
    jaeger_put_hex(out, trace->spans[0]->trace_id, 16);
    put_z(out, "\",\"spans\":[");
    sx_status status = SX_OK;
    for (size_t i = 0; i < trace->count && status == SX_OK; i++) {
        uint32_t process = process_of(&p, trace->spans[i]->resource);
        if (process == 0)
            return sx_fail_memory(err, "the processes of a trace");
        if (i)
            sx_buf_byte(out, ',');
        put_span(out, trace->spans[i], process, notes ? &notes[i] : NULL);
        status = flush_if_full(ui, err);
    }
    put_z(out, "],\"processes\":{");
    for (size_t i = 0; i < p.count && status == SX_OK; i++) {
        put_z(out, i ? ",\"p" : "\"p");
        sx_buf_u64(out, i + 1);
        put_z(out, "\":");
        put_process(out, p.items[i]);
        status = flush_if_full(ui, err);
    }
    put_z(out, "},\"warnings\":null}");
    return status == SX_OK ? flush_if_full(ui, err) : status;
}

void jaeger_ui_faults(sx_buf *out, const jaeger_fault *faults, size_t count)
{
    if (count == 0)
        put_z(out, "null");
    for (size_t i = 0; i < count; i++) {
        put_z(out, i ? ",{" : "[{");
        if (faults[i].code)
            sx_buf_printf(out, "\"code\":%d,", faults[i].code);
        put_z(out, "\"msg\":");
        put_text(out, faults[i].msg);
        if (faults[i].trace_id) {
            put_z(out, ",\"traceID\":\"");
            jaeger_put_hex(out, faults[i].trace_id, 16);
            sx_buf_byte(out, '"');
        }
        sx_buf_byte(out, '}');
    }
    if (count)
        sx_buf_byte(out, ']');
}

sx_status jaeger_ui_end(jaeger_ui *ui, const jaeger_ui_tail *tail, sx_error *err)
{
    sx_buf *out = &ui->out;
    put_z(out, "],\"total\":");
    sx_buf_u64(out, tail->total);
    put_z(out, ",\"limit\":0,\"offset\":0,\"errors\":");
    jaeger_ui_faults(out, tail->faults, tail->fault_count);
    if (tail->next) {
        put_z(out, ",\"nextPage\":\"");
        jaeger_cursor_write(out, tail->next);
        sx_buf_byte(out, '"');
    }
    sx_buf_byte(out, '}');
    return jaeger_ui_flush(ui, err);
}

/* --- Cursors: the time in 16 hex digits, the trace in 32. */

void jaeger_cursor_write(sx_buf *out, const tr_hit *hit)
{
    uint64_t big = __builtin_bswap64(hit->newest_ns);
    uint8_t time[8];
    memcpy(time, &big, sizeof time);
    jaeger_put_hex(out, time, sizeof time);
    sx_buf_byte(out, '-');
    jaeger_put_hex(out, hit->trace_id, 16);
}

bool jaeger_cursor_read(sx_str text, tr_hit *hit)
{
    enum { TIME = 16, ID = 32 };
    uint8_t time[16];
    sx_error err = {0};
    if (text.len != TIME + 1 + ID || text.data[TIME] != '-' ||
        jaeger_trace_id(sx_str_of(text.data, TIME), time, &err) != SX_OK ||
        jaeger_trace_id(sx_str_of(text.data + TIME + 1, ID), hit->trace_id, &err) != SX_OK)
        return false;
    uint64_t big;
    memcpy(&big, time + 8, sizeof big);
    hit->newest_ns = __builtin_bswap64(big);
    return true;
}
