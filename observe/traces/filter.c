/* filter.c - what a filter means: the slow and plain way, over decoded spans. See filter.h.
 *
 * The corners, which the evaluators over columns keep too:
 *  - A leaf looks at all values that its field has in the span (an attribute may stand in several
 *    places, or several times in one; each event and link has its own) and holds if one of them
 *    passes. That goes for NE and NOT_MATCH as well: `event name != "x"` wants an event of another
 *    name. So a leaf of which there is no value never holds, and NE is not NOT of EQ.
 *  - FILTER_SPAN_OR_RESOURCE, exactly these two places: where the span itself has the key its values
 *    are the only ones. Any other set of places looks everywhere in it.
 *  - An attribute with nothing set (SPAN_EMPTY) is there: EXISTS holds, comparisons do not, TEXT
 *    compares with "".
 *  - Fields that are not attributes are always there, be they empty text.
 *  - Text compares with text, bytes with bytes, numbers with numbers (exactly: 2^53 + 1 as an integer
 *    is not 2^53 as a double), bool with bool (false before true). All else is not comparable: neither
 *    EQ nor NE holds; lists and maps compare with nothing, but TEXT. NaN is not equal to anything, NE
 *    of it holds, order does not.
 *  - TEXT is for Jaeger's tags: the value as span_value_text writes it. Jaeger's pseudo-tags (`error`,
 *    `span.kind` ...) are turned into fields before a filter is made. */
#include "observe/traces/filter.h"

#include <math.h>

typedef enum comparison { NOT_COMPARABLE, UNORDERED, LESS, EQUAL, GREATER } comparison;

static comparison of_int(int cmp)
{
    return cmp < 0 ? LESS : cmp > 0 ? GREATER : EQUAL;
}

/* Exactly, where a cast of either would round. */
static comparison compare_int_double(int64_t i, double d)
{
    if (isnan(d))
        return UNORDERED;
    if (d >= 0x1p63)
        return LESS;
    if (d < -0x1p63)
        return GREATER;
    double whole = trunc(d);
    int64_t t = (int64_t)whole;
    if (i != t)
        return i < t ? LESS : GREATER;
    return d > whole ? LESS : d < whole ? GREATER : EQUAL;
}

static comparison turned(comparison c)
{
    return c == LESS ? GREATER : c == GREATER ? LESS : c;
}

static comparison compare(const span_value *a, const span_value *b)
{
    if (a->type == SPAN_INT && b->type == SPAN_DOUBLE)
        return compare_int_double(a->i, b->d);
    if (a->type == SPAN_DOUBLE && b->type == SPAN_INT)
        return turned(compare_int_double(b->i, a->d));
    if (a->type != b->type)
        return NOT_COMPARABLE;
    switch ((span_type)a->type) {
    case SPAN_STR:
    case SPAN_BYTES:
        return of_int(sx_str_cmp(sx_str_of(a->data, a->len), sx_str_of(b->data, b->len)));
    case SPAN_BOOL:
    case SPAN_INT:
        return of_int((a->i > b->i) - (a->i < b->i));
    case SPAN_DOUBLE:
        if (isnan(a->d) || isnan(b->d))
            return UNORDERED;
        return of_int((a->d > b->d) - (a->d < b->d));
    case SPAN_EMPTY:
    case SPAN_LIST:
    case SPAN_MAP:
        break;
    }
    return NOT_COMPARABLE;
}

static bool same_text(const span_value *v, sx_str text)
{
    if (v->type == SPAN_STR)
        return sx_str_eq(sx_str_of(v->data, v->len), text);
    sx_buf out;
    sx_buf_init(&out, text.len + 64); /* a longer one is another text: no need to write it out */
    span_value_text(v, &out);
    bool same = !out.failed && sx_str_eq(sx_buf_view(&out), text);
    sx_buf_done(&out);
    return same;
}

bool span_filter_test(const span_filter *leaf, const span_value *v)
{
    switch (leaf->op) {
    case FILTER_EXISTS:
        return true;
    case FILTER_MATCH:
    case FILTER_NOT_MATCH:
        return v->type == SPAN_STR && leaf->regex &&
               sx_regex_match(leaf->regex, sx_str_of(v->data, v->len)) ==
                   (leaf->op == FILTER_MATCH);
    case FILTER_TEXT:
        return same_text(v, span_value_str(&leaf->value));
    default:
        break;
    }
    comparison c = compare(v, &leaf->value);
    switch (leaf->op) {
    case FILTER_EQ:
        return c == EQUAL;
    case FILTER_NE:
        return c != EQUAL && c != NOT_COMPARABLE;
    case FILTER_LT:
        return c == LESS;
    case FILTER_LE:
        return c == LESS || c == EQUAL;
    case FILTER_GT:
        return c == GREATER;
    case FILTER_GE:
        return c == GREATER || c == EQUAL;
    default:
        return false;
    }
}

/* --- The values of a field. */

static bool test_text(const span_filter *leaf, sx_str text)
{
    span_value v = {.data = text.data, .len = (uint32_t)text.len, .type = SPAN_STR};
    return span_filter_test(leaf, &v);
}

static bool test_int(const span_filter *leaf, int64_t i)
{
    span_value v = {.i = i, .type = SPAN_INT};
    return span_filter_test(leaf, &v);
}

/* Times beyond 2262 count as its last moment: literals are signed. */
static int64_t bounded(uint64_t ns)
{
    return ns > INT64_MAX ? INT64_MAX : (int64_t)ns;
}

static bool test_id(const span_filter *leaf, const uint8_t *id, size_t len)
{
    static const char HEX[] = "0123456789abcdef";
    char text[32];
    for (size_t i = 0; i < len; i++) {
        text[2 * i] = HEX[id[i] >> 4];
        text[2 * i + 1] = HEX[id[i] & 15];
    }
    return test_text(leaf, sx_str_of(text, 2 * len));
}

static bool test_parent(const span_filter *leaf, const span *s)
{
    static const uint8_t NONE[8];
    return test_id(leaf, s->parent, memcmp(s->parent, NONE, sizeof NONE) == 0 ? 0 : 8);
}

static bool test_attrs(const span_filter *leaf, span_attrs attrs, bool *there)
{
    for (uint32_t i = 0; i < attrs.count; i++)
        if (sx_str_eq(span_attr_key(&attrs.items[i]), leaf->key)) {
            *there = true;
            if (span_filter_test(leaf, &attrs.items[i].value))
                return true;
        }
    return false;
}

static bool test_attribute(const span_filter *leaf, const span *s)
{
    unsigned place = leaf->place == FILTER_ANY ? 31 : leaf->place;
    bool there = false;
    if ((place & FILTER_SPAN) && test_attrs(leaf, s->attrs, &there))
        return true;
    if (there && leaf->place == FILTER_SPAN_OR_RESOURCE)
        return false;
    if ((place & FILTER_RESOURCE) && test_attrs(leaf, s->resource->attrs, &there))
        return true;
    if ((place & FILTER_SCOPE) && test_attrs(leaf, s->scope->attrs, &there))
        return true;
    for (uint32_t i = 0; (place & FILTER_EVENT) && i < s->event_count; i++)
        if (test_attrs(leaf, s->events[i].attrs, &there))
            return true;
    for (uint32_t i = 0; (place & FILTER_LINK) && i < s->link_count; i++)
        if (test_attrs(leaf, s->links[i].attrs, &there))
            return true;
    return false;
}

static bool test_events(const span_filter *leaf, const span *s)
{
    for (uint32_t i = 0; i < s->event_count; i++) {
        const span_event *e = &s->events[i];
        if (leaf->field == FILTER_EVENT_NAME ? test_text(leaf, e->name)
                                             : test_int(leaf, (int64_t)(e->time_ns - s->start_ns)))
            return true;
    }
    return false;
}

static bool test_links(const span_filter *leaf, const span *s)
{
    for (uint32_t i = 0; i < s->link_count; i++) {
        const span_link *l = &s->links[i];
        if (leaf->field == FILTER_LINK_TRACE_ID ? test_id(leaf, l->trace_id, 16)
                                                : test_id(leaf, l->span_id, 8))
            return true;
    }
    return false;
}

static bool match_leaf(const span_filter *leaf, const span *s)
{
    switch (leaf->field) {
    case FILTER_ATTRIBUTE:
        return test_attribute(leaf, s);
    case FILTER_NAME:
        return test_text(leaf, s->name);
    case FILTER_DURATION:
        return test_int(leaf, s->end_ns > s->start_ns ? bounded(s->end_ns - s->start_ns) : 0);
    case FILTER_START:
        return test_int(leaf, bounded(s->start_ns));
    case FILTER_STATUS:
        return test_int(leaf, s->status);
    case FILTER_STATUS_MESSAGE:
        return test_text(leaf, s->status_message);
    case FILTER_KIND:
        return test_int(leaf, s->kind);
    case FILTER_SERVICE:
        return test_text(leaf, s->resource->service);
    case FILTER_TRACE_ID:
        return test_id(leaf, s->trace_id, 16);
    case FILTER_SPAN_ID:
        return test_id(leaf, s->id, 8);
    case FILTER_PARENT_ID:
        return test_parent(leaf, s);
    case FILTER_TRACE_STATE:
        return test_text(leaf, s->trace_state);
    case FILTER_SCOPE_NAME:
        return test_text(leaf, s->scope->name);
    case FILTER_SCOPE_VERSION:
        return test_text(leaf, s->scope->version);
    case FILTER_EVENT_NAME:
    case FILTER_EVENT_SINCE_START:
        return test_events(leaf, s);
    case FILTER_LINK_TRACE_ID:
    case FILTER_LINK_SPAN_ID:
        return test_links(leaf, s);
    case FILTER_FIELDS:
        break;
    }
    return false;
}

bool span_filter_match(const span_filter *f, const span *s)
{
    if (!f)
        return true;
    switch (f->kind) {
    case FILTER_LEAF:
        return match_leaf(f, s);
    case FILTER_AND:
        for (uint32_t i = 0; i < f->child_count; i++)
            if (!span_filter_match(f->children[i], s))
                return false;
        return true;
    case FILTER_OR:
        for (uint32_t i = 0; i < f->child_count; i++)
            if (span_filter_match(f->children[i], s))
                return true;
        return false;
    case FILTER_NOT: /* of all its children together, usually one */
        for (uint32_t i = 0; i < f->child_count; i++)
            if (!span_filter_match(f->children[i], s))
                return true;
        return false;
    }
    return false;
}
