/* match.c - a filter over the rows of a memtable: its texts are looked up in the dictionary once, then
 * rows are compared by number. Means what span_filter_match means (filter.c); a test holds the two
 * against each other. What cannot be decided by number (patterns, order of texts) is asked of
 * span_filter_test once for each different text and remembered. */
#include <sextant/mem.h>

#include "observe/traces/memtable.h"

typedef struct node {
    const span_filter *f;
    uint32_t key, text;              /* ids */
    bool has_key, has_text, is_text; /* the literal is text */
    uint8_t *seen;                   /* by text id: 0 not asked yet, 1 no, 2 yes */
    struct node *children;
} node;

struct tr_match {
    const tr_rows *rows;
    tr_snapshot now;
    node root;
    bool all;
    sx_arena *arena;
};

static bool build(tr_match *x, const span_filter *f, node *n)
{
    *n = (node){.f = f};
    if (f->kind != FILTER_LEAF) {
        n->children = sx_arena_calloc(x->arena, f->child_count + 1, sizeof *n->children);
        if (!n->children)
            return false;
        for (uint32_t i = 0; i < f->child_count; i++)
            if (!build(x, f->children[i], &n->children[i]))
                return false;
        return true;
    }
    const tr_dict *d = &x->rows->dict;
    n->has_key = f->field != FILTER_ATTRIBUTE || tr_dict_find(d, f->key, &n->key);
    n->is_text = f->value.type == SPAN_STR;
    if (n->is_text)
        n->has_text = tr_dict_find(d, span_value_str(&f->value), &n->text);
    bool ask = f->op == FILTER_MATCH || f->op == FILTER_NOT_MATCH ||
               (n->is_text && f->op >= FILTER_LT && f->op <= FILTER_GE);
    if (ask && n->has_key) {
        n->seen = sx_arena_calloc(x->arena, x->now.texts, 1);
        return n->seen != NULL;
    }
    return true;
}

tr_match *tr_match_new(tr_memtable *m, const span_filter *filter, tr_snapshot now, sx_arena *arena)
{
    tr_match *x = sx_arena_calloc(arena, 1, sizeof *x);
    if (!x)
        return NULL;
    x->rows = &m->rows;
    x->now = now;
    x->arena = arena;
    x->all = !filter;
    if (!filter)
        return x;
    pthread_mutex_lock(&m->lock);
    bool built = build(x, filter, &x->root);
    pthread_mutex_unlock(&m->lock);
    return built ? x : NULL;
}

static bool never(const node *n)
{
    const span_filter *f = n->f;
    if (f->kind == FILTER_AND) {
        for (uint32_t i = 0; i < f->child_count; i++)
            if (never(&n->children[i]))
                return true;
        return false;
    }
    if (f->kind == FILTER_OR) {
        for (uint32_t i = 0; i < f->child_count; i++)
            if (!never(&n->children[i]))
                return false;
        return true;
    }
    if (f->kind == FILTER_NOT)
        return false;
    return !n->has_key ||
           (f->field != FILTER_TRACE_ID && f->field != FILTER_SPAN_ID &&
            f->field != FILTER_PARENT_ID && f->field != FILTER_LINK_TRACE_ID &&
            f->field != FILTER_LINK_SPAN_ID && f->op == FILTER_EQ && n->is_text && !n->has_text);
}

bool tr_match_is_empty(const tr_match *x)
{
    return !x->all && never(&x->root);
}

static bool test_value(const node *n, const span_value *v)
{
    return span_filter_test(n->f, v);
}

static bool test_text(const tr_match *x, node *n, uint32_t id)
{
    switch (n->f->op) {
    case FILTER_EXISTS:
        return true;
    case FILTER_EQ:
        return n->has_text && id == n->text;
    case FILTER_TEXT:
        return n->has_text && id == n->text;
    case FILTER_NE:
        return n->is_text && !(n->has_text && id == n->text);
    default:
        break;
    }
    if (!n->seen)
        return false; /* order of a text and something else */
    if (sx_unlikely(n->seen[id] == 0)) {
        sx_str s = tr_dict_get(&x->rows->dict, id);
        span_value v = {.data = s.data, .len = (uint32_t)s.len, .type = SPAN_STR};
        n->seen[id] = test_value(n, &v) ? 2 : 1;
    }
    return n->seen[id] == 2;
}

static bool test_cell(const tr_match *x, node *n, const tr_cell *cell)
{
    if (cell->type == SPAN_STR)
        return test_text(x, n, (uint32_t)cell->bits);
    if (n->f->op == FILTER_EXISTS)
        return true;
    if ((cell->type == SPAN_LIST || cell->type == SPAN_MAP) && n->f->op != FILTER_TEXT)
        return false;
    span_value v;
    sx_arena scratch;
    sx_arena_init(&scratch, 0, 0);
    bool yes = tr_rows_value(x->rows, cell, &scratch, &v, NULL) == SX_OK && test_value(n, &v);
    sx_arena_done(&scratch);
    return yes;
}

static bool test_cells(const tr_match *x, node *n, tr_cells c, bool *there)
{
    const tr_cell *cells = x->rows->cells + c.first;
    for (uint32_t i = 0; i < c.count; i++)
        if (cells[i].key == n->key) {
            *there = true;
            if (test_cell(x, n, &cells[i]))
                return true;
        }
    return false;
}

static bool test_attribute(const tr_match *x, node *n, const tr_row *row)
{
    const tr_rows *r = x->rows;
    unsigned place = n->f->place == FILTER_ANY ? 31 : n->f->place;
    bool there = false;
    if (!n->has_key)
        return false;
    if ((place & FILTER_SPAN) && test_cells(x, n, row->cells, &there))
        return true;
    if (there && n->f->place == FILTER_SPAN_OR_RESOURCE)
        return false;
    if ((place & FILTER_RESOURCE) && test_cells(x, n, r->resources[row->resource].cells, &there))
        return true;
    if ((place & FILTER_SCOPE) && test_cells(x, n, r->scopes[row->scope].cells, &there))
        return true;
    for (uint32_t i = 0; (place & FILTER_EVENT) && i < row->event_count; i++)
        if (test_cells(x, n, r->events[row->first_event + i].cells, &there))
            return true;
    for (uint32_t i = 0; (place & FILTER_LINK) && i < row->link_count; i++)
        if (test_cells(x, n, r->links[row->first_link + i].cells, &there))
            return true;
    return false;
}

static bool test_int(const node *n, int64_t i)
{
    span_value v = {.i = i, .type = SPAN_INT};
    return test_value(n, &v);
}

static bool test_id(const node *n, const uint8_t *id, size_t len)
{
    static const char HEX[] = "0123456789abcdef";
    char text[32];
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = HEX[id[i] >> 4];
        text[2 * i + 1] = HEX[id[i] & 15];
    }
    span_value v = {.data = text, .len = (uint32_t)(2 * len), .type = SPAN_STR};
    return test_value(n, &v);
}

static int64_t bounded(uint64_t ns)
{
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

static bool test_event_field(const tr_match *x, node *n, const tr_row *row)
{
    for (uint32_t i = 0; i < row->event_count; i++) {
        const tr_event *e = &x->rows->events[row->first_event + i];
        if (n->f->field == FILTER_EVENT_NAME ? test_text(x, n, e->name)
                                             : test_int(n, (int64_t)(e->time_ns - row->start_ns)))
            return true;
    }
    return false;
}

static bool test_link_field(const tr_match *x, node *n, const tr_row *row)
{
    for (uint32_t i = 0; i < row->link_count; i++) {
        const tr_link *l = &x->rows->links[row->first_link + i];
        if (n->f->field == FILTER_LINK_TRACE_ID ? test_id(n, l->trace_id, 16)
                                                : test_id(n, l->span_id, 8))
            return true;
    }
    return false;
}

static bool test_leaf(const tr_match *x, node *n, const tr_row *row)
{
    static const uint8_t NONE[8];
    const tr_rows *r = x->rows;
    switch (n->f->field) {
    case FILTER_ATTRIBUTE:
        return test_attribute(x, n, row);
    case FILTER_NAME:
        return test_text(x, n, row->name);
    case FILTER_DURATION:
        return test_int(n, row->end_ns > row->start_ns ? bounded(row->end_ns - row->start_ns) : 0);
    case FILTER_START:
        return test_int(n, bounded(row->start_ns));
    case FILTER_STATUS:
        return test_int(n, row->status);
    case FILTER_STATUS_MESSAGE:
        return test_text(x, n, row->status_message);
    case FILTER_KIND:
        return test_int(n, row->kind);
    case FILTER_SERVICE:
        return test_text(x, n, r->resources[row->resource].service);
    case FILTER_TRACE_ID:
        return test_id(n, row->trace_id, 16);
    case FILTER_SPAN_ID:
        return test_id(n, row->id, 8);
    case FILTER_PARENT_ID:
        return test_id(n, row->parent, memcmp(row->parent, NONE, sizeof NONE) == 0 ? 0 : 8);
    case FILTER_TRACE_STATE:
        return test_text(x, n, row->trace_state);
    case FILTER_SCOPE_NAME:
        return test_text(x, n, r->scopes[row->scope].name);
    case FILTER_SCOPE_VERSION:
        return test_text(x, n, r->scopes[row->scope].version);
    case FILTER_EVENT_NAME:
    case FILTER_EVENT_SINCE_START:
        return test_event_field(x, n, row);
    case FILTER_LINK_TRACE_ID:
    case FILTER_LINK_SPAN_ID:
        return test_link_field(x, n, row);
    case FILTER_FIELDS:
        break;
    }
    return false;
}

static bool test_node(const tr_match *x, node *n, const tr_row *row)
{
    const span_filter *f = n->f;
    switch (f->kind) {
    case FILTER_LEAF:
        return test_leaf(x, n, row);
    case FILTER_OR:
        for (uint32_t i = 0; i < f->child_count; i++)
            if (test_node(x, &n->children[i], row))
                return true;
        return false;
    case FILTER_AND:
    case FILTER_NOT:
        break;
    }
    for (uint32_t i = 0; i < f->child_count; i++)
        if (!test_node(x, &n->children[i], row))
            return f->kind == FILTER_NOT;
    return f->kind == FILTER_AND;
}

bool tr_match_row(tr_match *x, uint32_t row)
{
    return x->all || test_node(x, &x->root, &x->rows->rows[row]);
}
