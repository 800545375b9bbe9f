/* result.c - what is printed of a result: its label and its properties, in Addok's order. */
#include <sextant/number.h>

#include "geocode/index/reader.h"
#include "geocode/search/search.h"

/* A text that grows in a fixed room; what does not fit is left out. */
typedef struct text {
    char *out;
    size_t len, cap;
} text;

static void add(text *t, sx_str more)
{
    if (more.len > t->cap - t->len)
        return;
    if (more.len)
        memcpy(t->out + t->len, more.data, more.len);
    t->len += more.len;
}

/* The first value of a document's property, as text; empty if it has none. */
static sx_str first_text(const geo_index *ix, uint32_t doc, sx_str key, geo_value *v,
                         geo_value *item)
{
    if (!geo_doc_property(ix, doc, key, v))
        return sx_str_of("", 0);
    return geo_value_first(ix, v, item);
}

static void add_property(const geo_index *ix, uint32_t doc, sx_str key, text *t)
{
    geo_value v, item;
    sx_str s = first_text(ix, doc, key, &v, &item);
    if (s.len && t->len)
        add(t, SX_STR(" "));
    add(t, s);
}

/* "34 " of a result whose house number matched; nothing otherwise. */
static void add_number(const geo_index *ix, const geo_result *r, text *t)
{
    geo_housenumber n;
    char number[GEO_NUMBER_TEXT_MAX + 16];
    if (r->made_len)
        add(t, sx_str_of(r->made, r->made_len));
    if (r->number == GEO_NO_NUMBER || !geo_number_at(ix, r->doc, r->number, &n))
        return;
    add(t, sx_str_of(number, geo_number_text(&n, number)));
}

sx_str geo_result_label(const geo_index *ix, const geo_result *r, char out[GEO_LABEL_BYTES_MAX])
{
    text t = {out, 0, GEO_LABEL_BYTES_MAX};
    const geo_disk_doc *doc = geo_doc(ix, r->doc);
    if (!doc)
        return sx_str_of(out, 0);
    add_number(ix, r, &t);
    add_property(ix, r->doc, SX_STR("name"), &t);
    if (doc->type == GEO_TYPE_MUNICIPALITY)
        return sx_str_of(out, t.len);
    add_property(ix, r->doc, SX_STR("postcode"), &t);
    add_property(ix, r->doc, SX_STR("city"), &t);
    return sx_str_of(out, t.len);
}

/* One visit under way. */
typedef struct tour {
    const geo_index *ix;
    const geo_result *r;
    geo_property_visit visit;
    void *context;
    bool has_number, stopped;
    geo_housenumber number;
} tour;

static void show(tour *t, sx_str key, const geo_value *value)
{
    if (!t->stopped && value->kind != GEO_NULL)
        t->stopped = !t->visit(t->context, key, value);
}

static void show_text(tour *t, sx_str key, geo_value_kind kind, sx_str s)
{
    geo_value v = {.kind = kind, .count = 1, .text = s};
    if (s.len)
        show(t, key, &v);
}

static void show_head(tour *t)
{
    char label[GEO_LABEL_BYTES_MAX], score[SX_DOUBLE_BYTES], number[GEO_NUMBER_TEXT_MAX + 16];
    show_text(t, SX_STR("label"), GEO_STRING, geo_result_label(t->ix, t->r, label));
    size_t len = sx_double_format(t->r->score, SX_DOUBLE_PYTHON, score);
    show_text(t, SX_STR("score"), GEO_NUMBER, sx_str_of(score, len));
    if (t->has_number)
        show_text(t, SX_STR("housenumber"), GEO_STRING,
                  sx_str_of(number, geo_number_text(&t->number, number)));
    if (t->r->made_len) {
        const geo_value yes = {.kind = GEO_TRUE, .count = 1};
        show_text(t, SX_STR("housenumber"), GEO_STRING, sx_str_of(t->r->made, t->r->made_len));
        show(t, SX_STR("interpolated"), &yes);
    }
}

/* A house number's own word for one of its document's properties. Returns false if it has none. */
static bool show_of_number(tour *t, sx_str key)
{
    char out[GEO_LABEL_BYTES_MAX];
    if (t->r->made_len && (sx_str_eq(key, SX_STR("x")) || sx_str_eq(key, SX_STR("y"))))
        return true; /* the street's own place would be wrong here */
    if (!t->r->made_len && sx_str_eq(key, SX_STR("id"))) {
        sx_str id = geo_number_id(t->ix, t->r->doc, &t->number, out, sizeof(out));
        show_text(t, key, GEO_STRING, id);
        return id.len > 0;
    }
    if (sx_str_eq(key, SX_STR("type"))) {
        show_text(t, key, GEO_STRING, SX_STR("housenumber"));
        return true;
    }
    if (sx_str_eq(key, SX_STR("name"))) {
        text name = {out, 0, sizeof(out)};
        add_number(t->ix, t->r, &name);
        add_property(t->ix, t->r->doc, key, &name);
        show_text(t, key, GEO_STRING, sx_str_of(out, name.len));
        return true;
    }
    geo_value v;
    if (t->r->made_len || !geo_number_property(t->ix, &t->number, key, &v))
        return false;
    show(t, key, &v);
    return true;
}

static bool is_position(sx_str key)
{
    return sx_str_eq(key, SX_STR("lon")) || sx_str_eq(key, SX_STR("lat"));
}

/* The document's own properties; false if they are damaged. */
static bool show_properties(tour *t)
{
    geo_properties it;
    sx_str key;
    geo_value v, item;
    for (geo_properties_begin(t->ix, t->r->doc, &it);
         !t->stopped && geo_properties_next(&it, &key, &v);) {
        if (is_position(key) || ((t->has_number || t->r->made_len) && show_of_number(t, key)))
            continue;
        if (geo_value_item(t->ix, &v, 0, &item))
            show(t, key, &item);
    }
    return !it.bad;
}

/* The plain name under the name of its type, "street": "Rue de la Paix"; then the distance. */
static void show_tail(tour *t)
{
    geo_value v, item, type, type_item;
    sx_str key = first_text(t->ix, t->r->doc, SX_STR("type"), &type, &type_item);
    if (key.len)
        show_text(t, key, GEO_STRING, first_text(t->ix, t->r->doc, SX_STR("name"), &v, &item));
    if (t->r->distance_m < 0)
        return;
    char digits[SX_DOUBLE_BYTES];
    size_t len = sx_double_format((double)(int64_t)t->r->distance_m, SX_DOUBLE_JS, digits);
    show_text(t, SX_STR("distance"), GEO_NUMBER, sx_str_of(digits, len));
}

sx_status geo_result_properties(const geo_index *ix, const geo_result *r, geo_property_visit visit,
                                void *context, sx_error *err)
{
    tour t = {.ix = ix, .r = r, .visit = visit, .context = context};
    t.has_number = r->number != GEO_NO_NUMBER && geo_number_at(ix, r->doc, r->number, &t.number);
    show_head(&t);
    if (!show_properties(&t))
        return sx_fail(err, SX_ECORRUPT, "the properties of document %u are damaged", r->doc);
    show_tail(&t);
    return SX_OK;
}

/* Looks for one property on a tour. */
typedef struct wanted {
    sx_str key;
    text value;
} wanted;

static bool take_wanted(void *context, sx_str key, const geo_value *value)
{
    wanted *w = context;
    if (!sx_str_eq(key, w->key))
        return true;
    if (value->kind == GEO_TRUE || value->kind == GEO_FALSE)
        add(&w->value, value->kind == GEO_TRUE ? SX_STR("true") : SX_STR("false"));
    else
        add(&w->value, value->text);
    return false;
}

sx_str geo_result_text(const geo_index *ix, const geo_result *r, sx_str key, char *out, size_t cap)
{
    wanted w = {key, {out, 0, cap}};
    if (geo_result_properties(ix, r, take_wanted, &w, NULL) != SX_OK)
        return sx_str_of(out, 0);
    return sx_str_of(out, w.value.len);
}
