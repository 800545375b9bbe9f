/* exposition_nhcb.c - classic histograms of the text formats as native ones with custom bounds.
 *
 * Series of a histogram family that differ in nothing but suffix and le are gathered while they come
 * one after the other; when something else comes, what was gathered is given out as one entry and the
 * other thing waits its turn. Classic series pass through only with classic_always. A histogram whose
 * buckets make no sense is left out, as Prometheus leaves it out; so are gauge histograms. */
#include <math.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/scrape/exposition_text.h"
#include "observe/scrape/nhcb.h"

struct expo_gather {
    sx_str family; /* of the last TYPE line */
    bool gathering, broken;
    uint64_t key; /* of the series' labels without le */
    nhcb classic;
    sx_arena arena; /* of what is gathered: labels, exemplars */
    tsdb_labels labels;
    sx_buf series; /* what identifies it */
    bool has_t;
    int64_t t, start_t;
    tsdb_exemplar *exemplars;
    size_t exemplar_count, exemplar_cap; /* in the arena */
    tsdb_histogram histogram;
    sx_arena out; /* of the histogram given out */
    bool has_held;
    prom_entry held; /* has been read, and comes next */
    sx_status held_status;
};

void expo_nhcb_begin(prom_exposition *x)
{
    struct expo_gather *g = x->gather;
    if (!g)
        return;
    g->family = (sx_str){0};
    g->gathering = g->has_held = false;
}

void expo_nhcb_done(prom_exposition *x)
{
    struct expo_gather *g = x->gather;
    if (!g)
        return;
    nhcb_done(&g->classic);
    sx_buf_done(&g->series);
    sx_arena_done(&g->arena);
    sx_arena_done(&g->out);
    sx_free(g);
}

static sx_status make_gather(prom_exposition *x, sx_error *err)
{
    if (x->gather)
        return SX_OK;
    x->gather = sx_calloc(1, sizeof *x->gather);
    if (!x->gather)
        return sx_fail_memory(err, "an exposition reader");
    sx_arena_init(&x->gather->arena, 0, 0);
    sx_arena_init(&x->gather->out, 0, 0);
    sx_buf_init(&x->gather->series, 0);
    return SX_OK;
}

/* --- Which part of a histogram a series is. */

typedef enum part { PART_NONE, PART_BUCKET, PART_SUM, PART_COUNT } part;

static part part_of(const prom_exposition *x, double *bound)
{
    static const struct {
        sx_str suffix;
        part part;
    } SUFFIXES[] = {{SX_STR_INIT("_bucket"), PART_BUCKET},
                    {SX_STR_INIT("_sum"), PART_SUM},
                    {SX_STR_INIT("_count"), PART_COUNT}};
    sx_str family = x->gather->family;
    sx_str name = expo_between(x, x->parts.metric, x->parts.metric + x->parts.metric_len);
    if (x->type != EXPO_HISTOGRAM || family.len == 0 || !sx_str_starts(name, family))
        return PART_NONE;
    for (size_t i = 0; i < SX_COUNT_OF(SUFFIXES); i++) {
        if (!sx_str_eq(sx_str_from(name, family.len), SUFFIXES[i].suffix))
            continue;
        if (SUFFIXES[i].part != PART_BUCKET)
            return SUFFIXES[i].part;
        for (size_t k = 0; k < x->parts.count; k++) {
            const expo_part *p = &x->parts.items[k];
            if (sx_str_eq(expo_between(x, p->name, p->name + p->name_len), SX_STR("le")) &&
                expo_float(expo_between(x, p->value, p->value + p->value_len), bound, NULL) ==
                    SX_OK &&
                !isnan(*bound))
                return PART_BUCKET;
        }
    }
    return PART_NONE;
}

/* --- Gathering. */

/* The histogram's own labels: the family's name, without le. */
static sx_status take_labels(prom_exposition *x, const prom_entry *e, sx_error *err)
{
    struct expo_gather *g = x->gather;
    tsdb_labels l;
    sx_status st = expo_text_labels(x, e, &x->scratch, &l, err);
    tsdb_label *items = sx_arena_calloc(&x->scratch, (size_t)l.count + 1, sizeof *items);
    uint32_t count = 0;
    if (st != SX_OK || !items)
        return st != SX_OK ? st : sx_fail_memory(err, "labels of a series");
    sx_buf_clear(&g->series);
    for (uint32_t i = 0; i < l.count; i++) {
        tsdb_label label = l.items[i];
        if (sx_str_eq(label.name, SX_STR("le")))
            continue;
        if (sx_str_eq(label.name, TSDB_METRIC_NAME))
            label.value = expo_unescape(g->family, true, &x->scratch);
        if (!label.value.data)
            return sx_fail_memory(err, "labels of a series");
        items[count++] = label;
        sx_buf_str(&g->series, label.name);
        sx_buf_byte(&g->series, '\xff');
        sx_buf_str(&g->series, label.value);
        sx_buf_byte(&g->series, '\xff');
    }
    st = tsdb_labels_copy((tsdb_labels){items, count}, &g->arena, &g->labels, err);
    return st == SX_OK ? sx_buf_status(&g->series, "a series", err) : st;
}

static sx_status begin_gathering(prom_exposition *x, const prom_entry *e, uint64_t key,
                                 sx_error *err)
{
    struct expo_gather *g = x->gather;
    sx_arena_reset(&g->arena);
    nhcb_clear(&g->classic);
    g->exemplars = NULL;
    g->exemplar_count = g->exemplar_cap = 0;
    g->broken = false;
    g->key = key;
    g->has_t = e->has_t;
    g->t = e->t;
    g->start_t = 0;
    sx_status st = take_labels(x, e, err);
    g->gathering = st == SX_OK;
    return st;
}

static sx_status take_exemplars(struct expo_gather *g, const prom_entry *e, sx_error *err)
{
    for (uint32_t i = 0; i < e->exemplar_count; i++) {
        if (!sx_arena_grow(&g->arena, &g->exemplars, &g->exemplar_cap, g->exemplar_count + 1,
                           sizeof *g->exemplars))
            return sx_fail_memory(err, "exemplars");
        tsdb_exemplar *to = &g->exemplars[g->exemplar_count];
        *to = e->exemplars[i];
        sx_status st = tsdb_labels_copy(e->exemplars[i].labels, &g->arena, &to->labels, err);
        if (st != SX_OK)
            return st;
        g->exemplar_count++;
    }
    return SX_OK;
}

static sx_status take_part(struct expo_gather *g, part p, double bound, const prom_entry *e,
                           sx_error *err)
{
    sx_status st = SX_OK;
    if (e->start_t)
        g->start_t = e->start_t;
    if (p == PART_BUCKET)
        st = nhcb_bucket_add(&g->classic, bound, e->value, err);
    else if (p == PART_COUNT)
        st = nhcb_count_set(&g->classic, e->value, err);
    else
        g->classic.sum = e->value;
    if (st == SX_ENOMEM)
        return st;
    g->broken |= st != SX_OK;
    return take_exemplars(g, e, err);
}

/* --- Giving out. */

/* SX_AGAIN: there was nothing that makes a histogram. */
static sx_status give(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_gather *g = x->gather;
    g->gathering = false;
    if (g->broken)
        return SX_AGAIN;
    sx_arena_reset(&g->out);
    sx_status st = nhcb_convert(&g->classic, false, &g->out, &g->histogram, err);
    if (st != SX_OK)
        return st == SX_ENOMEM ? st : SX_AGAIN;
    *out = (prom_entry){.kind = PROM_ENTRY_HISTOGRAM,
                        .series = sx_buf_view(&g->series),
                        .histogram = &g->histogram,
                        .has_t = g->has_t,
                        .t = g->t,
                        .start_t = g->start_t,
                        .exemplars = g->exemplars,
                        .exemplar_count = (uint32_t)g->exemplar_count};
    return SX_OK;
}

/* A classic series of a histogram: true in *taken. */
static sx_status gather(prom_exposition *x, const prom_entry *e, bool *taken, bool *other,
                        sx_error *err)
{
    struct expo_gather *g = x->gather;
    double bound = 0;
    *taken = *other = false;
    if (e->kind != PROM_ENTRY_SERIES || x->type != EXPO_HISTOGRAM) {
        *other = true;
        return SX_OK;
    }
    sx_status st = expo_split_series(x, err);
    if (st != SX_OK)
        return st;
    part p = part_of(x, &bound);
    uint64_t key = expo_start_key(x);
    *other = p == PART_NONE || key != g->key;
    if (p == PART_NONE || (g->gathering && *other))
        return SX_OK;
    if (!g->gathering)
        st = begin_gathering(x, e, key, err);
    *taken = st == SX_OK;
    return st == SX_OK ? take_part(g, p, bound, e, err) : st;
}

static sx_status read_entry(prom_exposition *x, prom_entry *out, sx_error *err)
{
    struct expo_gather *g = x->gather;
    if (!g->has_held)
        return expo_text_next(x, out, err);
    g->has_held = false;
    *out = g->held;
    return g->held_status;
}

sx_status expo_nhcb_next(prom_exposition *x, prom_entry *out, sx_error *err)
{
    sx_status st = make_gather(x, err);
    if (st != SX_OK)
        return st;
    struct expo_gather *g = x->gather;
    for (;;) {
        bool taken = false, other = true;
        st = read_entry(x, out, err);
        if (st != SX_OK && st != SX_END)
            return st;
        if (st == SX_OK)
            st = gather(x, out, &taken, &other, err);
        if (st != SX_OK && st != SX_END)
            return st;
        if (g->gathering && other && !taken) {
            g->held = *out;
            g->held_status = st;
            g->has_held = true;
            st = give(x, out, err);
            if (st != SX_AGAIN)
                return st;
            continue;
        }
        if (st == SX_OK && out->kind == PROM_ENTRY_TYPE)
            g->family = out->metric;
        if (st != SX_OK || !taken || x->options.classic_always)
            return st;
    }
}

sx_status expo_nhcb_labels(const prom_exposition *x, sx_arena *arena, tsdb_labels *out,
                           sx_error *err)
{
    return tsdb_labels_copy(x->gather->labels, arena, out, err);
}
