/* exposition_start.c - start times in OpenMetrics 1.0: its _created lines come after the samples that
 * they are about, so that they are looked for ahead, once for each series of labels. */
#include <sextant/hash.h>

#include "observe/scrape/exposition_text.h"

bool expo_has_start(expo_type t)
{
    return t == EXPO_COUNTER || t == EXPO_SUMMARY || t == EXPO_HISTOGRAM;
}

bool expo_is_created(const prom_exposition *x)
{
    sx_str name = expo_between(x, x->parts.metric, x->parts.metric + x->parts.metric_len);
    return expo_has_start(x->type) && sx_str_ends(name, SX_STR("_created"));
}

/* The series without its le or quantile: what _created lines have in common with it. */
uint64_t expo_start_key(const prom_exposition *x)
{
    uint64_t h = 1;
    for (size_t i = 0; i < x->parts.count; i++) {
        const expo_part *p = &x->parts.items[i];
        sx_str name = expo_between(x, p->name, p->name + p->name_len);
        if ((x->type == EXPO_SUMMARY && sx_str_eq(name, SX_STR("quantile"))) ||
            (x->type == EXPO_HISTOGRAM && sx_str_eq(name, SX_STR("le"))))
            continue;
        h = sx_hash(expo_between(x, p->value, p->value + p->value_len), sx_hash(name, h));
    }
    return h | 1; /* 0 is "none known" */
}

/* Takes the last series apart if it was only compared. */
sx_status expo_split_series(prom_exposition *x, sx_error *err)
{
    if (x->split)
        return SX_OK;
    uint32_t at = x->at;
    x->at = x->series;
    sx_status st = expo_read_series(x, err);
    x->at = at;
    return st;
}

/* Looks ahead within the family for the _created line of the series just read. */
sx_status expo_find_start(prom_exposition *x, prom_entry *out, sx_error *err)
{
    sx_status st = expo_split_series(x, err);
    if (st != SX_OK)
        return st;
    uint64_t key = expo_start_key(x);
    if (key != x->created_for) {
        uint32_t at = x->at, entry = x->entry, series = x->series, end = x->series_end;
        x->created_for = key;
        x->created = 0;
        x->peeking = true;
        while (x->at < x->body.len && expo_peek(x) != '#') {
            prom_entry next = {0};
            x->entry = x->at;
            if (expo_read_sample(x, &next, NULL) != SX_OK)
                break; /* told when it is read in its turn */
            if (!expo_is_created(x))
                continue;
            if (expo_start_key(x) == key)
                x->created = (int64_t)(next.value * 1000);
            break;
        }
        x->peeking = false;
        x->at = at;
        x->entry = entry;
        x->series = series;
        x->series_end = end;
        x->split = false;
    }
    out->start_t = x->created;
    return SX_OK;
}
