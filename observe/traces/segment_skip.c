/* segment_skip.c - groups that a search need not look into. */
#include "observe/traces/segment_scan.h"

typedef struct skipping {
    const tr_summary *sum;
    const uint8_t *filter;
} skipping;

static bool has(const skipping *k, uint64_t item)
{
    return tr_filter_has(k->filter, k->sum->filter_len, item);
}

/* Whether the key has a value of one of these types (bits) here. */
static bool has_types(const skipping *k, const scan_node *n, unsigned types)
{
    types &= n->types;
    for (unsigned t = SPAN_EMPTY; t <= SPAN_MAP; t++)
        if ((types >> t & 1) && has(k, tr_item_type(n->key_hash, t)))
            return true;
    return false;
}

#define BIT(type) (1u << (type))

/* Types whose values the literal can be compared with. */
static unsigned comparable(const span_value *v)
{
    switch ((span_type)v->type) {
    case SPAN_INT:
    case SPAN_DOUBLE:
        return BIT(SPAN_INT) | BIT(SPAN_DOUBLE);
    case SPAN_STR:
    case SPAN_BYTES:
    case SPAN_BOOL:
        return BIT(v->type);
    default:
        return 0;
    }
}

static bool may_text(const skipping *k, const scan_node *n, sx_str text)
{
    if (has(k, tr_item_value(n->key_hash, text)))
        return true;
    unsigned types = BIT(SPAN_DOUBLE) | BIT(SPAN_BYTES) | BIT(SPAN_LIST) | BIT(SPAN_MAP);
    if (n->wants_int)
        types |= BIT(SPAN_INT);
    if (sx_str_eq(text, SX_STR("true")) || sx_str_eq(text, SX_STR("false")))
        types |= BIT(SPAN_BOOL);
    if (text.len == 0)
        types |= BIT(SPAN_EMPTY);
    return has_types(k, n, types);
}

static bool may_match(const skipping *k, const scan_node *n)
{
    size_t count;
    const sx_str *literals = n->filter->regex && n->filter->op == FILTER_MATCH
                                 ? sx_regex_literals(n->filter->regex, &count)
                                 : NULL;
    if (!literals)
        return has_types(k, n, BIT(SPAN_STR));
    for (size_t i = 0; i < count; i++)
        if (has(k, tr_item_value(n->key_hash, literals[i])))
            return true;
    return false;
}

static bool may_attribute(const skipping *k, const scan_node *n)
{
    const span_filter *f = n->filter;
    if (n->types == 0)
        return false;
    switch (f->op) {
    case FILTER_EXISTS:
        return has_types(k, n, ~0u);
    case FILTER_TEXT:
        return may_text(k, n, span_value_str(&f->value));
    case FILTER_MATCH:
    case FILTER_NOT_MATCH:
        return may_match(k, n);
    case FILTER_EQ:
        if (f->value.type == SPAN_STR)
            return has(k, tr_item_value(n->key_hash, span_value_str(&f->value)));
        break;
    default:
        break;
    }
    return has_types(k, n, comparable(&f->value));
}

/* A field of text that is in the filter. */
static bool may_field(const skipping *k, const scan_node *n, unsigned item)
{
    const span_filter *f = n->filter;
    if ((f->op == FILTER_EQ && f->value.type == SPAN_STR) || f->op == FILTER_TEXT)
        return has(k, tr_item_text(item, span_value_str(&f->value)));
    size_t count;
    const sx_str *literals =
        f->op == FILTER_MATCH && f->regex ? sx_regex_literals(f->regex, &count) : NULL;
    for (size_t i = 0; literals && i < count; i++)
        if (has(k, tr_item_text(item, literals[i])))
            return true;
    return !literals;
}

/* A number of the span that lies in a range. */
static bool may_number(const scan_node *n, uint64_t least, uint64_t greatest)
{
    const span_filter *f = n->filter;
    if (f->value.type != SPAN_INT || greatest > INT64_MAX)
        return true;
    int64_t low = (int64_t)least, high = (int64_t)greatest, v = f->value.i;
    switch (f->op) {
    case FILTER_EQ:
        return v >= low && v <= high;
    case FILTER_LT:
        return low < v;
    case FILTER_LE:
        return low <= v;
    case FILTER_GT:
        return high > v;
    case FILTER_GE:
        return high >= v;
    default:
        return true;
    }
}

static bool may_bits(const scan_node *n, unsigned bits)
{
    for (unsigned i = 0; i < 8; i++) {
        span_value v = {.i = i, .type = SPAN_INT};
        if ((bits >> i & 1) && span_filter_test(n->filter, &v))
            return true;
    }
    return false;
}

static bool may_leaf(const skipping *k, const scan_node *n)
{
    switch (n->filter->field) {
    case FILTER_ATTRIBUTE:
        return may_attribute(k, n);
    case FILTER_NAME:
        return may_field(k, n, TR_ITEM_NAME);
    case FILTER_SERVICE:
        return may_field(k, n, TR_ITEM_SERVICE);
    case FILTER_STATUS_MESSAGE:
        return may_field(k, n, TR_ITEM_MESSAGE);
    case FILTER_SCOPE_NAME:
        return may_field(k, n, TR_ITEM_SCOPE);
    case FILTER_EVENT_NAME:
        return may_field(k, n, TR_ITEM_EVENT);
    case FILTER_DURATION:
        return may_number(n, k->sum->min_duration, k->sum->max_duration);
    case FILTER_START:
        return may_number(n, k->sum->min_ns, k->sum->max_ns);
    case FILTER_STATUS:
        return may_bits(n, k->sum->statuses);
    case FILTER_KIND:
        return may_bits(n, k->sum->kinds);
    default:
        return true;
    }
}

static bool may(const skipping *k, const scan_node *n)
{
    switch (n->filter->kind) {
    case FILTER_LEAF:
        return may_leaf(k, n);
    case FILTER_AND:
        for (uint32_t i = 0; i < n->child_count; i++)
            if (!may(k, n->children[i]))
                return false;
        return true;
    case FILTER_OR:
        for (uint32_t i = 0; i < n->child_count; i++)
            if (may(k, n->children[i]))
                return true;
        return false;
    case FILTER_NOT:
        break;
    }
    return true;
}

sx_status tr_scan_may(const tr_segment *s, uint64_t group, const scan_node *node, bool *result,
                      sx_error *err)
{
    skipping k = {.sum = &s->groups[group]};
    sx_status status = tr_segment_filter(s, group, &k.filter, err);
    *result = status == SX_OK && may(&k, node);
    return status;
}
