/* segment_eval.c - which rows of a group match: the filter's meaning (filter.c) over columns.
 *
 * A text is judged once: those of the dictionary once a segment, others once where they stand. Then
 * rows are bytes in loops without branches. Columns that no leaf names are not unpacked; a conjunction
 * stops when no row is left. */
#include <sextant/mem.h>
#include <sextant/number.h>

#include "observe/spans/otlp.h"
#include "observe/traces/segment_scan.h"

static void *take(scan_group *sg, size_t count, size_t size)
{
    void *p = sx_arena_calloc(sg->arena, count + 1, size);
    if (!p)
        sx_fail_memory(sg->err, "a search");
    return p;
}

/* --- Texts. */

static bool judge_text(const scan_node *n, sx_str text, unsigned type)
{
    span_value v = {.data = text.data, .len = (uint32_t)text.len, .type = type};
    return span_filter_test(n->filter, &v);
}

static sx_status judge_global(scan_group *sg, scan_node *n, uint32_t code, uint8_t *yes)
{
    const tr_segment *s = sg->g.segment;
    if (n->wants_code) {
        *yes = n->has_code && n->code == code;
        return SX_OK;
    }
    if (!n->verdicts && !(n->verdicts = sx_calloc((size_t)s->dict_count + 1, 1)))
        return sx_fail_memory(sg->err, "a search");
    if (n->verdicts[code] == SCAN_UNKNOWN)
        n->verdicts[code] = judge_text(n, tr_segment_text(s, code), SPAN_STR) ? SCAN_YES : SCAN_NO;
    *yes = n->verdicts[code] == SCAN_YES;
    return SX_OK;
}

/* Lists and maps: only existence and TEXT look at them. */
static sx_status judge_any(scan_group *sg, const scan_node *n, sx_str text, uint8_t *yes)
{
    span_value v;
    if (n->filter->op == FILTER_EXISTS || n->filter->op != FILTER_TEXT) {
        *yes = n->filter->op == FILTER_EXISTS;
        return SX_OK;
    }
    sx_status status = span_read_any(text, sg->arena, &v, sg->err);
    if (status == SX_ENOMEM)
        return status;
    if (status != SX_OK)
        return tr_segment_damaged(sg->g.segment, sg->err, "a list in group", sg->g.index);
    *yes = span_filter_test(n->filter, &v);
    return SX_OK;
}

/* A verdict on each text of a column's dictionary. */
static sx_status judge_texts(scan_group *sg, scan_node *n, const tr_text_column *t, unsigned type,
                             uint8_t **out)
{
    uint32_t all = t->global_count + t->local_count;
    uint8_t *yes = take(sg, all, 1);
    sx_status status = yes ? SX_OK : SX_ENOMEM;
    *out = yes;
    for (uint32_t i = 0; i < all && status == SX_OK; i++) {
        bool global = i < t->global_count;
        sx_str text = tr_column_text(sg->g.segment, t, i);
        if (type == SPAN_LIST || type == SPAN_MAP)
            status = judge_any(sg, n, text, &yes[i]);
        else if (global && type == SPAN_STR)
            status = judge_global(sg, n, t->globals[i], &yes[i]);
        else
            yes[i] = judge_text(n, text, type);
    }
    return status;
}

enum { NOWHERE = UINT32_MAX };

/* Where a column's dictionary has the leaf's text: among those of the segment's, or NOWHERE. */
static uint32_t find_global(const scan_node *n, const tr_text_column *t)
{
    uint32_t low = 0, high = n->has_code ? t->global_count : 0;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (t->globals[middle] < n->code)
            low = middle + 1;
        else
            high = middle;
    }
    return n->has_code && low < t->global_count && t->globals[low] == n->code ? low : NOWHERE;
}

/* The same among its own texts: after a merge a text can be in both. */
static uint32_t find_local(const scan_node *n, const tr_text_column *t)
{
    sx_str text = span_value_str(&n->filter->value);
    for (uint32_t i = 0; i < t->local_count; i++)
        if (sx_str_eq(t->locals[i], text))
            return t->global_count + i;
    return NOWHERE;
}

/* A verdict on each value for a leaf that wants one text: no other is looked at. */
static sx_status one_text_passes(scan_group *sg, const scan_node *n, unsigned chunk, size_t count,
                                 tr_cursor *c, tr_text_column *t, uint8_t *pass)
{
    uint32_t global = find_global(n, t), local = find_local(n, t);
    if (global == NOWHERE && local == NOWHERE)
        return SX_OK;
    if (!tr_take_text_codes(sg->g.unpacker, c, count, sg->arena, t))
        return tr_group_fail(&sg->g, c, chunk, sg->err);
    for (size_t i = 0; i < count; i++)
        pass[i] = (t->codes[i] == global) | (t->codes[i] == local);
    return SX_OK;
}

/* A verdict on each value of a chunk of texts. */
static sx_status texts_pass(scan_group *sg, scan_node *n, unsigned chunk, size_t count,
                            unsigned type, uint8_t **pass)
{
    tr_text_column t;
    uint8_t *yes;
    tr_cursor c = tr_group_chunk(&sg->g, chunk);
    tr_group *g = &sg->g;
    *pass = take(sg, count, 1);
    if (!*pass)
        return SX_ENOMEM;
    if (count == 0)
        return SX_OK;
    if (!tr_take_texts(g->unpacker, &c, count, g->segment->dict_count, sg->arena, &t))
        return tr_group_fail(g, &c, chunk, sg->err);
    if (n->wants_code && type == SPAN_STR)
        return one_text_passes(sg, n, chunk, count, &c, &t, *pass);
    sx_status status = judge_texts(sg, n, &t, type, &yes);
    if (status != SX_OK)
        return status;
    uint32_t all = t.global_count + t.local_count, good = 0;
    for (uint32_t i = 0; i < all; i++)
        good += yes[i];
    if (good == 0 || good == all) { /* the values need not be looked at */
        memset(*pass, good > 0, count);
        return SX_OK;
    }
    if (!tr_take_text_codes(g->unpacker, &c, count, sg->arena, &t))
        return tr_group_fail(g, &c, chunk, sg->err);
    for (size_t i = 0; i < count; i++)
        (*pass)[i] = yes[t.codes[i]];
    return SX_OK;
}

/* --- Numbers. */

/* How all of a range compares with an integer literal: SCAN_UNKNOWN if it does not go one way. */
static int judge_range(filter_op op, int64_t low, int64_t high, int64_t v)
{
    switch (op) {
    case FILTER_EQ:
        return v < low || v > high ? SCAN_NO : low == high ? SCAN_YES : SCAN_UNKNOWN;
    case FILTER_NE:
        return v < low || v > high ? SCAN_YES : low == high ? SCAN_NO : SCAN_UNKNOWN;
    case FILTER_LT:
        return high < v ? SCAN_YES : low >= v ? SCAN_NO : SCAN_UNKNOWN;
    case FILTER_LE:
        return high <= v ? SCAN_YES : low > v ? SCAN_NO : SCAN_UNKNOWN;
    case FILTER_GT:
        return low > v ? SCAN_YES : high <= v ? SCAN_NO : SCAN_UNKNOWN;
    case FILTER_GE:
        return low >= v ? SCAN_YES : high < v ? SCAN_NO : SCAN_UNKNOWN;
    default:
        return SCAN_UNKNOWN;
    }
}

static void compare_ints(filter_op op, const uint64_t *values, size_t count, int64_t v,
                         uint8_t *pass)
{
#define EACH(operator)                                                                             \
    for (size_t i = 0; i < count; i++)                                                             \
    pass[i] = (int64_t)values[i] operator v
    switch (op) {
    case FILTER_EQ:
        EACH(==);
        break;
    case FILTER_NE:
        EACH(!=);
        break;
    case FILTER_LT:
        EACH(<);
        break;
    case FILTER_LE:
        EACH(<=);
        break;
    case FILTER_GT:
        EACH(>);
        break;
    default:
        EACH(>=);
        break;
    }
#undef EACH
}

/* A verdict on each of some numbers. */
static void numbers_pass(const scan_node *n, const uint64_t *values, size_t count, unsigned type,
                         uint8_t *pass)
{
    const span_filter *f = n->filter;
    if (type == SPAN_INT && f->value.type == SPAN_INT && f->op >= FILTER_EQ && f->op <= FILTER_GE) {
        compare_ints(f->op, values, count, f->value.i, pass);
        return;
    }
    if (type == SPAN_INT && f->op == FILTER_TEXT) {
        compare_ints(FILTER_EQ, values, count, n->number, pass);
        if (!n->wants_int)
            memset(pass, 0, count);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        span_value v = {.type = type};
        memcpy(&v.i, &values[i], sizeof v.i);
        if (type == SPAN_BOOL)
            v.i = values[i] != 0;
        pass[i] = span_filter_test(f, &v);
    }
}

/* A verdict on each value of a chunk of numbers. */
static sx_status ints_pass(scan_group *sg, const scan_node *n, unsigned chunk, size_t count,
                           unsigned type, uint8_t **pass)
{
    const span_filter *f = n->filter;
    int64_t low, high;
    uint64_t *values;
    *pass = take(sg, count, 1);
    if (!*pass)
        return SX_ENOMEM;
    if (type == SPAN_INT && (f->op == FILTER_TEXT || f->value.type == SPAN_INT) &&
        tr_peek_range(tr_group_chunk(&sg->g, chunk), &low, &high)) {
        int all = f->op != FILTER_TEXT ? judge_range(f->op, low, high, f->value.i)
                  : n->wants_int       ? judge_range(FILTER_EQ, low, high, n->number)
                                       : SCAN_NO;
        if (all != SCAN_UNKNOWN) {
            memset(*pass, all == SCAN_YES, count);
            return SX_OK;
        }
    }
    sx_status status = tr_group_ints(&sg->g, chunk, count, &values, sg->err);
    if (status == SX_OK)
        numbers_pass(n, values, count, type, *pass);
    return status;
}

/* --- From lists to rows. */

static sx_status ready_codes(scan_group *sg, unsigned chunk, uint64_t limit, uint32_t **codes)
{
    return *codes ? SX_OK : tr_group_codes(&sg->g, chunk, sg->g.head.rows, limit, codes, sg->err);
}

/* Adds what passes among a place's lists to their rows: rows[i] = 1. */
static sx_status add_rows(scan_group *sg, unsigned place, const uint8_t *lists, uint8_t *rows)
{
    uint32_t n = sg->g.head.rows, all = sg->g.head.lists[place];
    sx_status status = SX_OK;
    if (place == TR_AT_SPAN) {
        for (uint32_t i = 0; i < n; i++)
            rows[i] |= lists[i];
    } else if (place == TR_AT_RESOURCE || place == TR_AT_SCOPE) {
        bool r = place == TR_AT_RESOURCE;
        uint32_t **codes = r ? &sg->resources : &sg->scopes;
        status = ready_codes(sg, r ? TR_C_RESOURCES : TR_C_SCOPES, all, codes);
        for (uint32_t i = 0; status == SX_OK && i < n; i++)
            rows[i] |= lists[(*codes)[i]];
    } else {
        bool e = place == TR_AT_EVENT;
        uint32_t **counts = e ? &sg->event_counts : &sg->link_counts;
        uint64_t at = 0;
        status =
            ready_codes(sg, e ? TR_C_EVENT_COUNTS : TR_C_LINK_COUNTS, (uint64_t)all + 1, counts);
        for (uint32_t i = 0; status == SX_OK && i < n; i++) {
            if ((*counts)[i] > all - at)
                return tr_segment_damaged(sg->g.segment, sg->err, "events of group", sg->g.index);
            for (uint32_t k = 0; k < (*counts)[i]; k++)
                rows[i] |= lists[at++];
        }
    }
    return status;
}

/* --- Attributes. */

/* Marks the lists of a place that have a value of this column which passes. */
static sx_status mark_lists(scan_group *sg, unsigned place, uint32_t column, const uint8_t *pass,
                            uint8_t *lists)
{
    const struct tr_group_shapes *s = &sg->g.shapes[place];
    uint32_t *times = take(sg, s->count, sizeof *times), most = 0;
    if (!times)
        return SX_ENOMEM;
    for (uint32_t i = 0; i < s->count; i++) {
        for (uint32_t k = s->first[i]; k < s->first[i + 1]; k++)
            times[i] += s->columns[k] == column;
        most = times[i] > most ? times[i] : most;
    }
    size_t at = 0;
    for (uint32_t i = 0; most <= 1 && i < sg->g.head.lists[place]; i++) {
        uint32_t n = times[s->shape_of[i]];
        lists[i] |= pass[at] & (uint8_t)n; /* pass has one more than there are */
        at += n;
    }
    for (uint32_t i = 0; most > 1 && i < sg->g.head.lists[place]; i++)
        for (uint32_t n = times[s->shape_of[i]]; n > 0; n--)
            lists[i] |= pass[at++];
    return SX_OK;
}

static sx_status column_pass(scan_group *sg, scan_node *n, uint32_t column, uint8_t **pass)
{
    size_t count = sg->g.column_counts[column];
    unsigned type = tr_column_type(&sg->g, column);
    if (tr_type_is_text(type))
        return texts_pass(sg, n, TR_CHUNKS + column, count, type, pass);
    return ints_pass(sg, n, TR_CHUNKS + column, count, type, pass);
}

/* Lists of a place with a value of the key that passes, and those that have the key at all. */
static sx_status place_pass(scan_group *sg, scan_node *n, unsigned place, uint8_t *lists,
                            uint8_t *there, bool *any)
{
    tr_group *g = &sg->g;
    sx_status status = tr_group_columns(g, sg->err);
    *any = false;
    for (uint32_t c = 0; c < g->head.column_count && status == SX_OK; c++) {
        if (tr_column_place(g, c) != place ||
            !sx_str_eq(tr_column_text(g->segment, &g->keys, g->keys.codes[c]), n->filter->key))
            continue;
        uint8_t *pass;
        *any = true;
        status = tr_group_shapes_of(g, place, sg->err);
        if (status == SX_OK)
            status = column_pass(sg, n, c, &pass);
        if (status == SX_OK)
            status = mark_lists(sg, place, c, pass, lists);
        if (status == SX_OK && there) {
            memset(pass, 1, g->column_counts[c]);
            status = mark_lists(sg, place, c, pass, there);
        }
    }
    return status;
}

static sx_status eval_attribute(scan_group *sg, scan_node *n, uint8_t *out)
{
    unsigned places = n->filter->place == FILTER_ANY ? 31 : n->filter->place;
    bool span_first = n->filter->place == FILTER_SPAN_OR_RESOURCE, any;
    uint8_t *there = span_first ? take(sg, sg->g.head.rows, 1) : NULL;
    sx_status status = span_first && !there ? SX_ENOMEM : SX_OK;
    if (status == SX_OK && span_first) { /* the resource's, where the span has none */
        uint8_t *lists = take(sg, sg->g.head.lists[TR_AT_RESOURCE], 1);
        status = lists ? place_pass(sg, n, TR_AT_RESOURCE, lists, NULL, &any) : SX_ENOMEM;
        if (status == SX_OK && any)
            status = add_rows(sg, TR_AT_RESOURCE, lists, out);
        places = FILTER_SPAN;
    }
    for (unsigned p = 0; p < TR_PLACES && status == SX_OK; p++) {
        if (!(places >> p & 1))
            continue;
        uint8_t *lists = take(sg, sg->g.head.lists[p], 1);
        status = lists ? place_pass(sg, n, p, lists, there, &any) : SX_ENOMEM;
        for (uint32_t i = 0; status == SX_OK && there && i < sg->g.head.rows; i++)
            out[i] &= (uint8_t)!there[i];
        if (status == SX_OK && any)
            status = add_rows(sg, p, lists, out);
    }
    return status;
}

/* --- Fields. */

static sx_status ready_starts(scan_group *sg)
{
    return sg->starts ? SX_OK : tr_group_starts(&sg->g, &sg->starts, sg->err);
}

static uint64_t bounded(uint64_t ns)
{
    return ns > INT64_MAX ? INT64_MAX : ns;
}

static sx_status eval_time(scan_group *sg, const scan_node *n, uint8_t *out)
{
    uint32_t rows = sg->g.head.rows;
    uint64_t *values;
    sx_status status = ready_starts(sg);
    if (status == SX_OK)
        status = tr_group_ints(&sg->g, TR_C_DURATIONS, rows, &values, sg->err);
    for (uint32_t i = 0; status == SX_OK && i < rows; i++) {
        uint64_t start = sg->starts[i], end = start + values[i];
        if (n->filter->field == FILTER_START)
            values[i] = bounded(start);
        else
            values[i] = end > start ? bounded(end - start) : 0;
    }
    if (status == SX_OK)
        numbers_pass(n, values, rows, SPAN_INT, out);
    return status;
}

static sx_status eval_marks(scan_group *sg, const scan_node *n, uint8_t *out)
{
    uint32_t *marks;
    uint8_t yes[64];
    sx_status status =
        tr_group_codes(&sg->g, TR_C_MARKS, sg->g.head.rows, sizeof yes, &marks, sg->err);
    for (unsigned m = 0; m < sizeof yes; m++) {
        span_value v = {.i = n->filter->field == FILTER_KIND ? m & 7 : m >> 3, .type = SPAN_INT};
        yes[m] = span_filter_test(n->filter, &v);
    }
    for (uint32_t i = 0; status == SX_OK && i < sg->g.head.rows; i++)
        out[i] = yes[marks[i]];
    return status;
}

/* Which chunk of which place a field of text is in. */
static const struct text_field {
    uint8_t place, chunk;
} TEXT_FIELDS[FILTER_FIELDS] = {
    [FILTER_NAME] = {TR_AT_SPAN, TR_C_NAMES},
    [FILTER_TRACE_STATE] = {TR_AT_SPAN, TR_C_STATES},
    [FILTER_STATUS_MESSAGE] = {TR_AT_SPAN, TR_C_MESSAGES},
    [FILTER_SERVICE] = {TR_AT_RESOURCE, TR_C_RESOURCE_SERVICES},
    [FILTER_SCOPE_NAME] = {TR_AT_SCOPE, TR_C_SCOPE_NAMES},
    [FILTER_SCOPE_VERSION] = {TR_AT_SCOPE, TR_C_SCOPE_VERSIONS},
    [FILTER_EVENT_NAME] = {TR_AT_EVENT, TR_C_EVENT_NAMES},
};

static sx_status eval_text(scan_group *sg, scan_node *n, uint8_t *out)
{
    const struct text_field *f = &TEXT_FIELDS[n->filter->field];
    uint8_t *pass;
    sx_status status = texts_pass(sg, n, f->chunk, sg->g.head.lists[f->place], SPAN_STR, &pass);
    return status == SX_OK ? add_rows(sg, f->place, pass, out) : status;
}

static bool test_id(const scan_node *n, const uint8_t *id, size_t len)
{
    static const char HEX[] = "0123456789abcdef";
    char text[32];
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = HEX[id[i] >> 4];
        text[2 * i + 1] = HEX[id[i] & 15];
    }
    return judge_text(n, sx_str_of(text, 2 * len), SPAN_STR);
}

static sx_status eval_ids(scan_group *sg, const scan_node *n, uint8_t *out)
{
    static const uint8_t NONE[8];
    uint32_t rows = sg->g.head.rows;
    if (!sg->have_ids) {
        sx_status status = tr_group_decode(sg->g.segment, sg->g.index, 0, rows, TR_WANT_IDS,
                                           sg->g.unpacker, sg->ids, sg->err);
        if (status != SX_OK)
            return status;
        sg->have_ids = true;
    }
    for (uint32_t i = 0; i < rows; i++) {
        const tr_row *r = &sg->ids->rows[i];
        switch (n->filter->field) {
        case FILTER_TRACE_ID:
            out[i] = test_id(n, r->trace_id, 16);
            break;
        case FILTER_SPAN_ID:
            out[i] = test_id(n, r->id, 8);
            break;
        default:
            out[i] = test_id(n, r->parent, memcmp(r->parent, NONE, 8) == 0 ? 0 : 8);
            break;
        }
    }
    return SX_OK;
}

static sx_status eval_links(scan_group *sg, const scan_node *n, uint8_t *out)
{
    bool trace = n->filter->field == FILTER_LINK_TRACE_ID;
    size_t count = sg->g.head.lists[TR_AT_LINK], len = trace ? 16 : 8;
    tr_cursor c = tr_group_chunk(&sg->g, trace ? TR_C_LINK_TRACES : TR_C_LINK_SPANS);
    const uint8_t *ids = tr_take_bytes(&c, count * len);
    uint8_t *pass = take(sg, count, 1);
    if (!pass)
        return SX_ENOMEM;
    if (!ids)
        return tr_group_fail(&sg->g, &c, TR_C_LINK_TRACES, sg->err);
    for (size_t i = 0; i < count; i++)
        pass[i] = test_id(n, ids + i * len, len);
    return add_rows(sg, TR_AT_LINK, pass, out);
}

static sx_status eval_leaf(scan_group *sg, scan_node *n, uint8_t *out)
{
    uint8_t *pass;
    sx_status status;
    switch (n->filter->field) {
    case FILTER_ATTRIBUTE:
        return eval_attribute(sg, n, out);
    case FILTER_DURATION:
    case FILTER_START:
        return eval_time(sg, n, out);
    case FILTER_STATUS:
    case FILTER_KIND:
        return eval_marks(sg, n, out);
    case FILTER_TRACE_ID:
    case FILTER_SPAN_ID:
    case FILTER_PARENT_ID:
        return eval_ids(sg, n, out);
    case FILTER_LINK_TRACE_ID:
    case FILTER_LINK_SPAN_ID:
        return eval_links(sg, n, out);
    case FILTER_EVENT_SINCE_START:
        if (sg->g.head.lists[TR_AT_EVENT] == 0)
            return SX_OK;
        status = ints_pass(sg, n, TR_C_EVENT_TIMES, sg->g.head.lists[TR_AT_EVENT], SPAN_INT, &pass);
        return status == SX_OK ? add_rows(sg, TR_AT_EVENT, pass, out) : status;
    case FILTER_FIELDS:
        return SX_OK;
    default:
        return eval_text(sg, n, out);
    }
}

static bool none_left(const uint8_t *hits, uint32_t rows)
{
    return memchr(hits, 1, rows) == NULL;
}

sx_status tr_scan_eval(scan_group *sg, scan_node *n, uint8_t *hits)
{
    uint32_t rows = sg->g.head.rows;
    sx_status status = SX_OK;
    if (n->filter->kind == FILTER_AND) {
        for (uint32_t i = 0; i < n->child_count && status == SX_OK && !none_left(hits, rows); i++)
            status = tr_scan_eval(sg, n->children[i], hits);
        return status;
    }
    uint8_t *out = take(sg, rows, 1), *rest = NULL;
    if (!out)
        return SX_ENOMEM;
    if (n->filter->kind == FILTER_LEAF) {
        status = eval_leaf(sg, n, out);
    } else {
        bool is_or = n->filter->kind == FILTER_OR;
        rest = take(sg, rows, 1);
        if (!rest)
            return SX_ENOMEM;
        if (!is_or) /* NOT of all its children together */
            memcpy(out, hits, rows);
        for (uint32_t i = 0; i < n->child_count && status == SX_OK; i++) {
            if (is_or) {
                for (uint32_t k = 0; k < rows; k++)
                    rest[k] = hits[k] & (uint8_t)!out[k];
                if (none_left(rest, rows))
                    break;
                status = tr_scan_eval(sg, n->children[i], rest);
                for (uint32_t k = 0; k < rows; k++)
                    out[k] |= rest[k];
            } else {
                status = tr_scan_eval(sg, n->children[i], out);
            }
        }
        for (uint32_t k = 0; !is_or && k < rows; k++)
            out[k] = !out[k];
    }
    for (uint32_t k = 0; k < rows; k++)
        hits[k] &= out[k];
    return status;
}
