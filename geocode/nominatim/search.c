/* search.c - the search from question to hits; see search.h.
 *
 * Coordinates and "[key=value]" are taken out of the text first. What is left is analysed (query.c), read in
 * all ways that make sense (query_assign.c, search_build.c); the readings are tried from the cheapest on
 * until what has been found is surely better than what may follow. */
#include <math.h>

#include <sextant/mem.h>

#include "geocode/nominatim/query_fuzzy.h"
#include "geocode/nominatim/reverse.h"
#include "geocode/nominatim/search_impl.h"
#include "geocode/nominatim/search_text.h"

enum {
    ARENA_BYTES = 256 * 1024,
    ARENA_BYTES_MAX = 64 * 1024 * 1024,
    LIMIT_DEFAULT = 10,
    LIMIT_MAX = 50,
    MORE_FOR_DUPLICATES = 10,
    PLANS_SURE = 15, /* so many are tried whatever they cost, unless they cost more than the last */
    RANK_POI = 30,
    SUSPECTS_MAX = 8, /* words that may be misspelt though they are known */
};

/* What a forgiven typing error and an unfinished word cost. */
#define GUESS_PENALTY      0.5
#define COMPLETION_PENALTY 0.05

nom_searcher *nom_searcher_new(sx_error *err)
{
    nom_searcher *s = sx_calloc(1, sizeof(*s));
    if (!s)
        (void)sx_fail_memory(err, "a searcher");
    else
        sx_arena_init(&s->arena, ARENA_BYTES, ARENA_BYTES_MAX);
    return s;
}

void nom_searcher_free(nom_searcher *s)
{
    if (s)
        sx_arena_done(&s->arena);
    sx_free(s);
}

/* --- Details. */

static void restrict_ranks(nom_details *d, uint8_t low, uint8_t high)
{
    d->rank_min = d->rank_min > low ? d->rank_min : low;
    d->rank_max = d->rank_max < high ? d->rank_max : high;
}

static int32_t cut(int64_t value, int64_t most)
{
    return (int32_t)(value > most ? most : value < -most ? -most : value);
}

static void set_details(nom_run *run, const nom_search_query *q)
{
    nom_details *d = &run->details;
    uint32_t limit = q->limit ? q->limit : LIMIT_DEFAULT;
    limit = limit > LIMIT_MAX ? LIMIT_MAX : limit;
    *d = (nom_details){.query = q, .near_radius = -1, .layers = q->layers};
    d->limit = limit;
    if (q->dedupe)
        d->limit += limit < MORE_FOR_DUPLICATES ? limit : MORE_FOR_DUPLICATES;
    d->rank_min = q->rank_min;
    d->rank_max = q->rank_max ? q->rank_max : RANK_POI;
    d->has_viewbox = q->has_viewbox;
    d->bounded = q->bounded;
    d->viewbox = q->viewbox;
    int64_t x = ((int64_t)q->viewbox.lon_max - q->viewbox.lon_min) / 2;
    int64_t y = ((int64_t)q->viewbox.lat_max - q->viewbox.lat_min) / 2;
    d->viewbox2 = (geo_box){
        cut(q->viewbox.lon_min - x, GEO_LON_E7_MAX), cut(q->viewbox.lat_min - y, GEO_LAT_E7_MAX),
        cut(q->viewbox.lon_max + x, GEO_LON_E7_MAX), cut(q->viewbox.lat_max + y, GEO_LAT_E7_MAX)};
    d->class_name = q->class_name;
    d->type = q->type;
}

static bool is_impossible(const nom_details *d)
{
    if (d->rank_min > d->rank_max)
        return true;
    if (d->bounded && d->has_viewbox && d->has_near &&
        d->near.lon >= d->viewbox.lon_min / (double)GEO_E7 &&
        d->near.lon <= d->viewbox.lon_max / (double)GEO_E7 &&
        d->near.lat >= d->viewbox.lat_min / (double)GEO_E7 &&
        d->near.lat <= d->viewbox.lat_max / (double)GEO_E7)
        return true;
    return d->rank_max <= 4 && d->layers && !(d->layers & NOM_LAYER_ADDRESS);
}

/* --- The query's parts. */

static void put_part(nom_run *run, nom_phrase_kind kind, sx_str text)
{
    nom_ask *ask = &run->s->ask;
    if (ask->part_count < NOM_PHRASES_MAX)
        ask->parts[ask->part_count++] = (nom_ask_part){kind, text};
}

static void put_text(nom_run *run, sx_str text)
{
    sx_str part;
    for (bool more = true; more;) {
        more = sx_str_cut(text, ',', &part, &text);
        put_part(run, NOM_ANY, part);
    }
}

/* A structured query also says how large what is wanted is. */
static void put_structured(nom_run *run, const nom_search_query *q)
{
    nom_details *d = &run->details;
    const struct {
        nom_phrase_kind kind;
        sx_str text;
    } parts[] = {{NOM_AMENITY, q->amenity},
                 {NOM_STREET, q->street},
                 {NOM_CITY, q->city},
                 {NOM_COUNTY, q->county},
                 {NOM_STATE, q->state},
                 {NOM_PHRASE_POSTCODE, q->postalcode},
                 {NOM_PHRASE_COUNTRY, q->country}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (parts[i].text.len)
            put_part(run, parts[i].kind, parts[i].text);
    if (q->amenity.len || q->street.len)
        restrict_ranks(d, 26, 30);
    else if (q->city.len)
        restrict_ranks(d, 13, 25);
    else if (q->county.len)
        restrict_ranks(d, 10, 12);
    else if (q->state.len)
        restrict_ranks(d, 5, 9);
    else if (q->postalcode.len)
        restrict_ranks(d, 5, 11);
    else
        restrict_ranks(d, 4, 4);
    if (d->layers == 0)
        d->layers = NOM_LAYER_ADDRESS | (q->amenity.len ? NOM_LAYER_POI : 0);
}

/* --- Running the plans. */

static nom_found *same_of(nom_founds *founds, const nom_found *f)
{
    for (size_t i = 0; i < founds->count; i++)
        if (founds->items[i].hit.source == f->hit.source && founds->items[i].hit.id == f->hit.id &&
            (f->hit.source == NOM_PLACE || founds->items[i].hit.number == f->hit.number))
            return &founds->items[i];
    return NULL;
}

static double cost_of(const nom_plan *plan)
{
    return plan->near.count ? plan->near_penalty : plan->penalty;
}

static void run_plans(nom_run *run, const nom_plan *plans, uint32_t count, nom_founds *out)
{
    double enough = count ? cost_of(&plans[0]) + 1.5 : 0, before = 0;
    for (uint32_t i = 0; i < count && !run->failed; i++) {
        double cost = cost_of(&plans[i]);
        if (cost > before && (cost > enough || i > PLANS_SURE))
            return;
        nom_founds found = {0};
        nom_plan_run(run, &plans[i], &found);
        for (size_t k = 0; k < found.count; k++) {
            nom_found *same = same_of(out, &found.items[k]);
            if (same)
                same->penalty = fmin(same->penalty, found.items[k].penalty);
            else
                nom_found_put(run, out, found.items[k]);
            enough = fmin(enough, fmin(cost + 0.4, found.items[k].penalty + 0.1));
        }
        before = cost;
    }
}

static sx_status give(nom_run *run, const nom_founds *founds, sx_arena *arena, nom_hits *out)
{
    out->items = sx_arena_alloc(arena, (founds->count + 1) * sizeof(nom_hit));
    if (!out->items)
        return sx_fail_memory(run->err, "the hits of a search");
    out->cap = (uint32_t)founds->count;
    for (size_t i = 0; i < founds->count; i++) {
        nom_hit hit = founds->items[i].hit;
        hit.accuracy = founds->items[i].penalty;
        hit.ranking = nom_found_ranking(&founds->items[i]);
        if (hit.source == NOM_PLACE)
            hit.number = 0;
        out->items[out->count++] = hit;
    }
    return SX_OK;
}

static sx_status finish(nom_run *run, const nom_locale *locale, nom_founds *founds, sx_arena *arena,
                        nom_hits *out)
{
    const nom_search_query *q = run->details.query;
    uint32_t limit = q->limit ? q->limit : LIMIT_DEFAULT;
    limit = limit > LIMIT_MAX ? LIMIT_MAX : limit;
    if (q->dedupe && founds->count > 1)
        nom_drop_duplicates(run, locale, founds, limit);
    if (founds->count > run->details.limit)
        founds->count = run->details.limit;
    if (run->failed)
        return sx_fail_memory(run->err, "a search");
    return give(run, founds, arena, out);
}

/* Reads the query as it is now and adds what it finds. */
static sx_status search_once(nom_run *run, double further, nom_founds *out)
{
    nom_plan *plans;
    uint32_t count;
    nom_founds found = {0};
    sx_status status = nom_ask_analyse(&run->s->ask, run->err);
    if (status == SX_ELIMIT)
        return SX_OK; /* no name has so many words */
    if (status == SX_OK)
        status = nom_plans_build(run, &plans, &count);
    if (status != SX_OK)
        return status;
    run_plans(run, plans, count, &found);
    further += GUESS_PENALTY * run->s->ask.guesses;
    for (size_t i = 0; i < found.count; i++) {
        found.items[i].penalty += further;
        if (!same_of(out, &found.items[i]))
            nom_found_put(run, out, found.items[i]);
    }
    return SX_OK;
}

/* Nothing was found, though every word is known: one of them may not be meant. */
static sx_status suspect_words(nom_run *run, nom_founds *out)
{
    sx_status status = SX_OK;
    uint32_t words = run->s->ask.node_count - 1;
    for (uint32_t i = 1; i <= words && i <= SUSPECTS_MAX && status == SX_OK; i++) {
        run->s->ask.suspect = i;
        status = search_once(run, 0, out);
    }
    run->s->ask.suspect = 0;
    return status;
}

/* The last word is perhaps not finished. */
static sx_status complete(nom_run *run, nom_founds *out)
{
    nom_ask *ask = &run->s->ask;
    sx_str words[NOM_COMPLETIONS_MAX];
    if (ask->node_count < 2)
        return SX_OK;
    sx_str last = ask->nodes[ask->node_count - 1].ascii;
    uint32_t count = nom_complete_word(run->w, last, words);
    sx_status status = SX_OK;
    for (uint32_t i = 0; i < count && status == SX_OK; i++) {
        if (sx_str_eq(words[i], last))
            continue;
        ask->last = words[i];
        status = search_once(run, COMPLETION_PENALTY, out);
    }
    ask->last = sx_str_of("", 0);
    return status;
}

static void begin_ask(nom_run *run)
{
    nom_ask *ask = &run->s->ask;
    ask->words = run->w;
    ask->arena = &run->s->arena;
    ask->normal = ask->forgive = false;
    ask->suspect = 0;
    ask->effort =
        run->details.query->guess_steps ? run->details.query->guess_steps : NOM_GUESS_STEPS_MAX;
    ask->last = sx_str_of("", 0);
}

static sx_status search_words(nom_run *run, const nom_locale *locale, sx_arena *arena,
                              nom_hits *out)
{
    const nom_search_query *q = run->details.query;
    nom_founds founds = {0};
    if (is_impossible(&run->details))
        return SX_OK;
    begin_ask(run);
    sx_status status = search_once(run, 0, &founds);
    if (status == SX_OK && q->autocomplete)
        status = complete(run, &founds);
    if (status == SX_OK && q->fuzzy && founds.count == 0) {
        run->s->ask.forgive = true;
        status = search_once(run, 0, &founds);
        if (status == SX_OK && founds.count == 0 && run->s->ask.guesses == 0)
            status = suspect_words(run, &founds);
    }
    if (status != SX_OK)
        return status;
    nom_drop_far(&founds);
    if (founds.count > 1)
        nom_rank_founds(run, locale, &founds, true);
    return finish(run, locale, &founds, arena, out);
}

/* "[amenity=restaurant]", alone in an area or near what the rest of the text names. */
static sx_status search_category(nom_run *run, sx_str text, nom_weighted category,
                                 const nom_locale *locale, sx_arena *arena, nom_hits *out)
{
    nom_founds founds = {0};
    sx_status status = SX_OK;
    nom_choices categories = {&category, 1};
    if (text.len) {
        nom_plan *plans;
        uint32_t count;
        put_text(run, text);
        begin_ask(run);
        status = nom_ask_analyse(&run->s->ask, run->err);
        if (status == SX_ELIMIT)
            return SX_OK;
        if (status == SX_OK)
            status = nom_plans_build(run, &plans, &count);
        for (uint32_t i = 0; status == SX_OK && i < count; i++) {
            if (plans[i].near.count == 0)
                plans[i].near_penalty = plans[i].penalty;
            plans[i].near = categories;
        }
        if (status != SX_OK)
            return status;
        run_plans(run, plans, count, &founds);
        nom_drop_far(&founds);
        nom_rank_founds(run, locale, &founds, false);
    } else {
        const nom_search_query *q = run->details.query;
        nom_plan plan = {.kind = NOM_PLAN_POI, .qualifiers = categories};
        plan.countries.items =
            sx_arena_calloc(&run->s->arena, q->country_count + 1u, sizeof(nom_weighted));
        for (uint32_t i = 0; i < q->country_count && plan.countries.items; i++)
            plan.countries.items[plan.countries.count++] =
                (nom_weighted){.country = q->countries[i]};
        nom_run_pois(run, &plan, &founds);
    }
    return finish(run, locale, &founds, arena, out);
}

/* Nothing but coordinates: what is there. */
static sx_status search_point(nom_run *run, sx_arena *arena, nom_hits *out)
{
    nom_reverse_query q = {
        .at = run->details.near, .rank_max = run->details.rank_max, .layers = run->details.layers};
    bool found;
    out->items = sx_arena_alloc(arena, sizeof(nom_hit));
    if (!out->items)
        return sx_fail_memory(run->err, "the hits of a search");
    out->cap = 1;
    sx_status status =
        nom_reverse_find(run->ix->places, &q, &run->s->arena, &out->items[0], &found, run->err);
    out->count = status == SX_OK && found;
    return status;
}

sx_status nom_search(const nom_index *ix, const nom_words *w, nom_searcher *s,
                     const nom_search_query *q, const nom_locale *locale, sx_arena *arena,
                     nom_hits *out, sx_error *err)
{
    *out = (nom_hits){0};
    bool structured = q->amenity.len || q->street.len || q->city.len || q->county.len ||
                      q->state.len || q->country.len || q->postalcode.len;
    if (!structured && sx_str_trim_all(q->text).len == 0)
        return sx_fail(err, SX_EINVAL, "Nothing to search for.");
    size_t bytes = q->text.len + q->amenity.len + q->street.len + q->city.len + q->county.len +
                   q->state.len + q->country.len + q->postalcode.len;
    if (bytes > NOM_QUERY_BYTES_MAX)
        return sx_fail(err, SX_ELIMIT, "a query of %zu bytes; at most %d are read", bytes,
                       NOM_QUERY_BYTES_MAX);
    if (!ix->places || !w)
        return SX_OK;
    nom_run run = {.ix = ix, .w = w, .s = s, .err = err};
    sx_arena_reset(&s->arena);
    s->bearer_count = 0;
    s->ask.part_count = s->ask.node_count = 0;
    s->ask.failed = false;
    set_details(&run, q);
    if (q->text.len == 0) {
        put_structured(&run, q);
        return search_words(&run, locale, arena, out);
    }
    sx_str text = q->text;
    nom_weighted category = {0};
    if (nom_take_coordinates(&text, &s->arena, &run.details.near)) {
        run.details.has_near = true;
        run.details.near_radius = 0.1;
        if (text.len == 0)
            return search_point(&run, arena, out);
    }
    if (nom_take_category(&text, &s->arena, &category.class_name, &category.type))
        return search_category(&run, text, category, locale, arena, out);
    put_text(&run, text);
    return search_words(&run, locale, arena, out);
}
