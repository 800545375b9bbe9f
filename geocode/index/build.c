/* build.c - adding documents to an index being built. See build.h. */
#include "geocode/index/build.h"

#include <math.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "geocode/index/build_impl.h"
#include "geocode/text/fold.h"

enum {
    MEMORY_DEFAULT = 1 << 30,
    MEMORY_LEAST = 1 << 16,
    SPOOL_BYTES_MAX = 8 << 20,
    /* Of half the table of strings. These decide what the file holds: not to depend on the memory. */
    STRINGS_MAX = 1 << 20,
    STRING_BYTES_MAX = 32 << 20,
};

/* Which properties are searched, and how much one token of them weighs: (boost + importance / 10) /
 * tokens of the field, as Addok weighs them; the fields are those of the Base Adresse Nationale's
 * settings. `role` says which of a label's parts the field is. */
typedef struct field {
    sx_str key;
    double boost, municipality_boost;
    geo_role role;
} field;

static const field FIELDS[] = {
    {SX_STR_INIT("name"), 4, 4, GEO_ROLE_NAME},
    {SX_STR_INIT("postcode"), 1, 1.2, GEO_ROLE_POSTCODE},
    {SX_STR_INIT("city"), 1, 1, GEO_ROLE_CITY},
    {SX_STR_INIT("street"), 1, 1, GEO_ROLE_OTHER},
    {SX_STR_INIT("context"), 1, 1, GEO_ROLE_OTHER},
    {SX_STR_INIT("citycode"), 1, 1, GEO_ROLE_OTHER},
    {SX_STR_INIT("oldcitycode"), 1, 1, GEO_ROLE_OTHER},
    {SX_STR_INIT("oldcity"), 1, 1, GEO_ROLE_OTHER},
    {SX_STR_INIT("district"), 1, 1, GEO_ROLE_OTHER},
};

static const struct {
    sx_str name;
    geo_type type;
} TYPES[] = {
    {SX_STR_INIT("housenumber"), GEO_TYPE_HOUSENUMBER},
    {SX_STR_INIT("street"), GEO_TYPE_STREET},
    {SX_STR_INIT("locality"), GEO_TYPE_LOCALITY},
    {SX_STR_INIT("municipality"), GEO_TYPE_MUNICIPALITY},
};

static sx_status take_filters(geo_builder *b, const geo_build_options *options, sx_error *err)
{
    static const sx_str DEFAULTS[] = {SX_STR_INIT("type"), SX_STR_INIT("postcode"),
                                      SX_STR_INIT("citycode")};
    const sx_str *filters = DEFAULTS;
    b->filter_count = SX_COUNT_OF(DEFAULTS);
    if (options && options->filter_count) {
        filters = options->filters;
        b->filter_count = options->filter_count;
    }
    if (b->filter_count > GEO_BUILD_FILTERS_MAX)
        return sx_fail(err, SX_ELIMIT, "%u filters; at most %d are possible", b->filter_count,
                       GEO_BUILD_FILTERS_MAX);
    for (uint32_t i = 0; i < b->filter_count; i++)
        sx_buf_str(&b->filter_text, filters[i]);
    if (b->filter_text.failed)
        return sx_fail_memory(err, "the filters' names");
    size_t at = 0;
    for (uint32_t i = 0; i < b->filter_count; i++) {
        b->filters[i] = sx_str_of(b->filter_text.data + at, filters[i].len);
        at += filters[i].len;
    }
    return SX_OK;
}

/* Half of the memory sorts, one sort at a time; the rest is for the spools, of which there are at most
 * a dozen at a time. */
static bool share_memory(geo_builder *b, const geo_build_options *o)
{
    size_t memory = o && o->memory_max ? o->memory_max : MEMORY_DEFAULT;
    if (memory < MEMORY_LEAST)
        memory = MEMORY_LEAST;
    b->sort_bytes = memory / 2;
    size_t buffer = memory / 64;
    return geo_temp_init(&b->temp, o ? o->temp_dir : NULL,
                         buffer < SPOOL_BYTES_MAX ? buffer : SPOOL_BYTES_MAX);
}

geo_builder *geo_builder_new(const geo_build_options *options, sx_error *err)
{
    geo_builder *b = sx_calloc(1, sizeof(*b));
    if (!b || !share_memory(b, options)) {
        sx_free(b);
        sx_fail_memory(err, "an index builder");
        return NULL;
    }
    geo_strings_init(&b->strings, &b->temp, STRINGS_MAX, STRING_BYTES_MAX);
    geo_pool_init(&b->keys);
    geo_pool_init(&b->terms);
    sx_buf_init(&b->filter_text, 0);
    geo_spool *spools[] = {&b->docs,   &b->tuples,  &b->positions, &b->properties,
                           &b->labels, &b->numbers, &b->places,    &b->recipe};
    for (size_t i = 0; i < SX_COUNT_OF(spools); i++)
        geo_spool_init(spools[i], &b->temp);
    b->weight_count = 1; /* code 0 is weight 0: filter terms */
    b->rules = geo_rules_of(GEO_LANGUAGE_NONE);
    uint32_t ref;
    /* The empty string comes first, so reference 0 is always empty. */
    if (take_filters(b, options, err) != SX_OK ||
        geo_strings_put(&b->strings, sx_str_of("", 0), &ref, err) != SX_OK) {
        geo_builder_free(b);
        return NULL;
    }
    return b;
}

void geo_builder_free(geo_builder *b)
{
    if (!b)
        return;
    geo_strings_done(&b->strings);
    geo_pool_done(&b->keys);
    geo_pool_done(&b->terms);
    sx_buf_done(&b->filter_text);
    geo_spool *spools[] = {&b->docs,   &b->tuples,  &b->positions, &b->properties,
                           &b->labels, &b->numbers, &b->places,    &b->recipe};
    for (size_t i = 0; i < SX_COUNT_OF(spools); i++)
        geo_spool_done(spools[i]);
    void *blocks[] = {b->sources,    b->term,         b->key, b->rank,
                      b->importance, b->by_term_rank, b->caps};
    for (size_t i = 0; i < SX_COUNT_OF(blocks); i++)
        sx_free(blocks[i]);
    geo_temp_done(&b->temp);
    sx_free(b);
}

sx_status geo_builder_source(geo_builder *b, const geo_source *source, sx_error *err)
{
    if (b->source_count == GEO_BUILD_SOURCES_MAX)
        return sx_fail(err, SX_ELIMIT, "more than %d sources in one index", GEO_BUILD_SOURCES_MAX);
    if (!sx_grow(&b->sources, &b->source_cap, b->source_count + 1, sizeof(*b->sources)))
        return sx_fail_memory(err, "the index's sources");
    geo_disk_source *out = &b->sources[b->source_count];
    *out = (geo_disk_source){.language = source->language};
    const sx_str texts[] = {source->name, source->attribution, source->licence, source->path};
    uint32_t *refs[] = {&out->name, &out->attribution, &out->licence, &out->path};
    for (size_t i = 0; i < SX_COUNT_OF(texts); i++) {
        sx_status status = geo_strings_put(&b->strings, texts[i], refs[i], err);
        if (status != SX_OK)
            return status;
    }
    b->source_count++;
    b->rules = geo_rules_of(source->language);
    return SX_OK;
}

/* The code of a weight: exact while there are at most 255 different ones, then the nearest. */
static uint8_t weight_code(geo_builder *b, double boost, double tokens)
{
    uint32_t nearest = 1;
    for (uint32_t i = 1; i < b->weight_count; i++) {
        const geo_disk_weight *w = &b->weights[i], *best = &b->weights[nearest];
        if (w->boost == boost && w->tokens == tokens)
            return (uint8_t)i;
        if (fabs(w->boost / w->tokens - boost / tokens) <
            fabs(best->boost / best->tokens - boost / tokens))
            nearest = i;
    }
    if (b->weight_count < 256) {
        nearest = b->weight_count++;
        b->weights[nearest] = (geo_disk_weight){boost, tokens};
    }
    return (uint8_t)nearest;
}

/* What a code weighs in the document being added. */
static double weight_of(const geo_builder *b, uint8_t code)
{
    return code ? (b->weights[code].boost + b->own_importance * 0.1) / b->weights[code].tokens : 0;
}

/* Adds a term to the document, or raises its weight if it has it already. */
static sx_status add_term(geo_builder *b, sx_str term, uint8_t code, sx_error *err)
{
    uint32_t id;
    bool is_new;
    sx_status status = geo_pool_put_hashed(&b->terms, term, sx_hash(term, 0), &id, &is_new, err);
    if (status != SX_OK)
        return status;
    if (!sx_grow(&b->term, &b->term_cap, id + 1u, sizeof(*b->term)))
        return sx_fail_memory(err, "the index's dictionary");
    if (is_new)
        b->term[id] = (geo_build_term){0};
    for (uint32_t i = 0; i < b->own_count; i++) {
        if (b->own_terms[i] != id)
            continue;
        if (weight_of(b, b->own_weights[i]) < weight_of(b, code))
            b->own_weights[i] = code;
        return SX_OK;
    }
    if (b->own_count == GEO_DOC_TERMS_MAX)
        return sx_fail(err, SX_ELIMIT, "the document has more than %d different words",
                       GEO_DOC_TERMS_MAX);
    b->own_terms[b->own_count] = id;
    b->own_weights[b->own_count++] = code;
    return SX_OK;
}

/* One text of a field: its terms, and its folded form for labels. */
static sx_status add_text(geo_builder *b, const field *f, double boost, sx_str text,
                          uint32_t *label_count, sx_buf *label, sx_error *err)
{
    if (text.len > GEO_BUILD_FIELD_BYTES_MAX)
        return sx_fail(err, SX_ELIMIT, "its %.*s has %zu bytes; at most %d are allowed",
                       SX_ARG(f->key), text.len, GEO_BUILD_FIELD_BYTES_MAX);
    sx_str folded = geo_fold(text, b->folded, sizeof(b->folded));
    size_t count = geo_tokens(b->rules, folded, b->tokens, GEO_BUILD_TOKENS_MAX);
    for (size_t i = 0; i < count; i++) {
        sx_status status =
            add_term(b, b->tokens[i].text, weight_code(b, boost, (double)count), err);
        if (status != SX_OK)
            return status;
    }
    if (f->role == GEO_ROLE_OTHER || folded.len == 0 || *label_count >= GEO_LABEL_PARTS_MAX)
        return SX_OK;
    geo_put_varint(label, folded.len);
    sx_buf_str(label, folded);
    if (f->role == GEO_ROLE_NAME) {
        geo_sign_add(&b->own_sign, folded);
        if (*label_count == 0 || folded.len < b->own_shortest)
            b->own_shortest = folded.len;
    }
    ++*label_count;
    return SX_OK;
}

/* Text of a scalar that can be searched or filtered by. */
static bool has_text(const geo_in_value *v)
{
    return (v->kind == GEO_STRING || v->kind == GEO_NUMBER) && v->text.len;
}

/* All texts of a field. Returns through *label_count how many texts were appended to `label`. */
static sx_status add_field(geo_builder *b, const geo_in_doc *doc, const field *f,
                           uint32_t *label_count, sx_buf *label, sx_error *err)
{
    *label_count = 0;
    const geo_in_property *p = geo_in_find(doc->properties, doc->property_count, f->key);
    if (!p)
        return SX_OK;
    bool municipality = sx_str_eq(doc->type, SX_STR("municipality"));
    const geo_in_value *items = p->value.kind == GEO_ARRAY ? p->value.items : &p->value;
    uint32_t count = p->value.kind == GEO_ARRAY ? p->value.count : 1;
    double boost = municipality ? f->municipality_boost : f->boost;
    for (uint32_t i = 0; i < count; i++) {
        if (!has_text(&items[i]))
            continue;
        sx_status status = add_text(b, f, boost, items[i].text, label_count, label, err);
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}

/* A document's record: what its names are like, where it is (one text for all documents of a place),
 * its names. */
static sx_status put_labels(geo_builder *b, const uint32_t *counts, sx_buf *parts, uint64_t *labels,
                            sx_error *err)
{
    uint32_t ref = 0;
    sx_buf place;
    sx_buf_init(&place, 0);
    sx_buf_byte(&place, (char)counts[GEO_ROLE_CITY]);
    sx_buf_byte(&place, (char)counts[GEO_ROLE_POSTCODE]);
    sx_buf_str(&place, sx_buf_view(&parts[GEO_ROLE_CITY]));
    sx_buf_str(&place, sx_buf_view(&parts[GEO_ROLE_POSTCODE]));
    sx_status status = sx_buf_status(&place, "a document's place", err);
    for (size_t i = 0; status == SX_OK && i <= GEO_ROLE_CITY; i++)
        status = sx_buf_status(&parts[i], "a document's labels", err);
    if (status == SX_OK)
        status = geo_strings_put(&b->strings, sx_buf_view(&place), &ref, err);
    sx_buf_done(&place);
    sx_buf *out = &b->labels.tail;
    *labels = geo_spool_bytes(&b->labels);
    geo_sign_set_shortest(&b->own_sign, b->own_shortest);
    sx_buf_bytes(out, &b->own_sign, sizeof(b->own_sign));
    sx_buf_bytes(out, &ref, sizeof(ref));
    sx_buf_byte(out, (char)counts[GEO_ROLE_NAME]);
    sx_buf_str(out, sx_buf_view(&parts[GEO_ROLE_NAME]));
    return status == SX_OK ? sx_buf_status(out, "the index's labels", err) : status;
}

static sx_status add_fields(geo_builder *b, const geo_in_doc *doc, uint64_t *labels, sx_error *err)
{
    uint32_t counts[GEO_ROLE_CITY + 1] = {0}, count;
    sx_buf parts[GEO_ROLE_CITY + 1];
    for (size_t i = 0; i < SX_COUNT_OF(parts); i++)
        sx_buf_init(&parts[i], 0);
    sx_status status = SX_OK;
    b->own_sign = (geo_sign){0};
    b->own_shortest = 0;
    for (size_t i = 0; status == SX_OK && i < SX_COUNT_OF(FIELDS); i++) {
        status = add_field(b, doc, &FIELDS[i], &count, &parts[FIELDS[i].role], err);
        counts[FIELDS[i].role] = count;
    }
    if (status == SX_OK)
        status = put_labels(b, counts, parts, labels, err);
    for (size_t i = 0; i < SX_COUNT_OF(parts); i++)
        sx_buf_done(&parts[i]);
    return status;
}

static sx_status add_filter(geo_builder *b, sx_str key, sx_str value, sx_error *err)
{
    char text[GEO_FILTER_BYTES_MAX];
    sx_str term = geo_filter_text(key, value, text);
    if (term.len == 0)
        return SX_OK; /* nobody could ask for it */
    return add_term(b, term, 0, err);
}

/* A term for every value of every filtered property; a street that has house numbers also passes the
 * filter type=housenumber. */
static sx_status add_filters(geo_builder *b, const geo_in_doc *doc, sx_error *err)
{
    sx_status status = SX_OK;
    for (uint32_t f = 0; f < b->filter_count; f++) {
        if (doc->number_count && sx_str_eq(b->filters[f], SX_STR("type")))
            status = add_filter(b, b->filters[f], SX_STR("housenumber"), err);
        const geo_in_property *p = geo_in_find(doc->properties, doc->property_count, b->filters[f]);
        if (!p || status != SX_OK)
            continue;
        const geo_in_value *items = p->value.kind == GEO_ARRAY ? p->value.items : &p->value;
        uint32_t count = p->value.kind == GEO_ARRAY ? p->value.count : 1;
        for (uint32_t i = 0; status == SX_OK && i < count; i++) {
            if (has_text(&items[i]))
                status = add_filter(b, b->filters[f], items[i].text, err);
        }
    }
    return status;
}

/* Moves the document's terms into their spool, and counts it with each. */
static sx_status keep_terms(geo_builder *b, sx_error *err)
{
    sx_buf *out = &b->tuples.tail;
    sx_buf_bytes(out, &b->own_count, sizeof(b->own_count));
    sx_buf_bytes(out, b->own_terms, b->own_count * sizeof(*b->own_terms));
    sx_buf_bytes(out, b->own_weights, b->own_count);
    return sx_buf_status(out, "the index's postings", err);
}

static uint8_t type_of(sx_str name)
{
    for (size_t i = 0; i < SX_COUNT_OF(TYPES); i++) {
        if (sx_str_eq(TYPES[i].name, name))
            return (uint8_t)TYPES[i].type;
    }
    return GEO_TYPE_OTHER;
}

static sx_status add_parts(geo_builder *b, const geo_in_doc *doc, geo_disk_doc *out, sx_error *err)
{
    b->own_count = 0;
    b->own_importance = doc->importance;
    sx_status status = geo_strings_put(&b->strings, doc->id, &out->id, err);
    if (status == SX_OK)
        status = geo_build_properties(b, doc, &out->properties, err);
    if (status == SX_OK)
        status = add_fields(b, doc, &out->labels, err);
    if (status == SX_OK)
        status = add_filters(b, doc, err);
    if (status == SX_OK)
        status = geo_build_numbers(b, doc, out, err);
    if (status == SX_OK)
        status = keep_terms(b, err);
    sx_buf_bytes(&b->docs.tail, out, sizeof(*out));
    return status == SX_OK ? sx_buf_status(&b->docs.tail, "the index's documents", err) : status;
}

/* What a document has appended to, and how long each was before it. */
typedef struct mark {
    geo_spool *spool;
    size_t len;
    const char *what;
} mark;

enum { MARKS = 6 };

static void set_marks(geo_builder *b, mark marks[MARKS])
{
    const mark SET[MARKS] = {
        {&b->docs, b->docs.tail.len, "the index's documents"},
        {&b->tuples, b->tuples.tail.len, "the index's postings"},
        {&b->positions, b->positions.tail.len, "the index's points"},
        {&b->properties, b->properties.tail.len, "the index's properties"},
        {&b->labels, b->labels.tail.len, "the index's labels"},
        {&b->numbers, b->numbers.tail.len, "the index's house numbers"},
    };
    memcpy(marks, SET, sizeof(SET));
}

/* A document that was taken is counted, and what is too much for memory spilled. */
static sx_status settle(geo_builder *b, const geo_in_doc *doc, const mark marks[MARKS],
                        sx_error *err)
{
    for (uint32_t i = 0; i < b->own_count; i++)
        b->term[b->own_terms[i]].docs++;
    b->tuple_count += b->own_count;
    b->number_count += doc->number_count;
    b->doc_count++;
    if (b->source_count)
        b->sources[b->source_count - 1].documents++;
    sx_status status = SX_OK;
    for (size_t i = 0; status == SX_OK && i < MARKS; i++)
        status = geo_spool_settle(marks[i].spool, marks[i].what, err);
    return status;
}

sx_status geo_builder_add(geo_builder *b, const geo_in_doc *doc, sx_error *err)
{
    if (!(fabs(doc->lon) <= 180) || !(fabs(doc->lat) <= 90))
        return sx_fail(err, SX_EINVAL, "it lies at lon %g, lat %g: not on Earth", doc->lon,
                       doc->lat);
    if (!isfinite(doc->importance))
        return sx_fail(err, SX_EINVAL, "its importance is no number");
    if (b->doc_count >= UINT32_MAX - 1)
        return sx_fail(err, SX_ELIMIT, "more documents than 32 bits can number");
    geo_disk_doc out = {
        .lon_e7 = geo_e7(doc->lon),
        .lat_e7 = geo_e7(doc->lat),
        .importance = doc->importance,
        .type = type_of(doc->type),
        .source = b->source_count ? (uint8_t)(b->source_count - 1) : 0,
        .flags = doc->flags,
    };
    mark marks[MARKS];
    set_marks(b, marks);
    sx_status status = add_parts(b, doc, &out, err);
    if (status == SX_OK)
        return settle(b, doc, marks, err);
    for (size_t i = 0; i < MARKS; i++)
        marks[i].spool->tail.len = marks[i].len; /* a refused document leaves nothing behind */
    return status;
}

geo_spool *geo_builder_places(geo_builder *b)
{
    return &b->places;
}

geo_spool *geo_builder_recipe(geo_builder *b)
{
    return &b->recipe;
}

void geo_builder_counts(const geo_builder *b, uint32_t *documents, uint64_t *numbers)
{
    *documents = b->doc_count;
    *numbers = b->number_count;
}
