/* search_run.c - finds the places and addresses that a plan describes; see search_impl.h.
 *
 * Candidates come from the list of the rarest word of the name, by importance, since places are numbered
 * so; every other word is looked up in the candidate's own row. An address is never written out: a word is
 * in it if a place of the address lines bears it, or the street that a house hangs on, or the object's
 * own tags. For each word of the address it is known once which places bear it; houses of one street
 * ask that only once. */
#include <math.h>
#include <stdlib.h>

#include "geocode/geometry/measure.h"
#include "geocode/nominatim/search_impl.h"

enum {
    RANK_COUNTRY = 4,
    RANK_STATE = 9,
    RANK_CITY = 16,
    RANK_STREET = 27,
    RANK_POI = 30,
    BEARERS_READ_MAX = 4096, /* with more, rows are asked */
    NUMBER_DIGITS_MAX = 7,
};

/* --- Words of addresses. */

static nom_bearers *bearers_of(nom_run *run, uint32_t token)
{
    nom_searcher *s = run->s;
    for (uint32_t i = 0; i < s->bearer_count; i++)
        if (s->bearers[i].token == token)
            return &s->bearers[i];
    if (s->bearer_count == NOM_BEARERS_MAX)
        s->bearer_count = 0;
    nom_bearers *b = &s->bearers[s->bearer_count++];
    *b = (nom_bearers){.token = token, .last_parent = PLC_NONE};
    const nom_disk_token *t = nom_token(run->w, token);
    if (t && t->count <= BEARERS_READ_MAX &&
        !nom_postings_read(run->w, token, &s->arena, &b->places, &b->count))
        run->failed = true;
    return b;
}

static bool bears(const nom_run *run, const nom_bearers *b, uint32_t place)
{
    if (!b->places)
        return nom_row_has(run->w, place, b->token);
    uint32_t low = 0, high = b->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (b->places[middle] == place)
            return true;
        if (b->places[middle] < place)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

static bool lines_bear(const nom_run *run, const nom_bearers *b, uint32_t place)
{
    uint32_t count;
    const plc_disk_line *lines = plc_lines(run->ix->places, place, &count);
    for (uint32_t i = 0; i < count; i++) {
        unsigned rank = lines[i].rank_address;
        if (rank > RANK_COUNTRY && rank != 5 && rank != 11 && bears(run, b, lines[i].place))
            return true;
    }
    return false;
}

/* Whether what hangs on a street or place has the token in its address by that. */
static bool parent_gives(nom_run *run, nom_bearers *b, uint32_t parent)
{
    if (b->last_parent != parent) {
        b->last_parent = parent;
        b->last_answer = bears(run, b, parent) || nom_row_has_extra(run->w, parent, b->token) ||
                         lines_bear(run, b, parent);
    }
    return b->last_answer;
}

bool nom_address_has(nom_run *run, uint32_t place, uint32_t token)
{
    const plc_disk_place *p = plc_place(run->ix->places, place);
    nom_bearers *b = bearers_of(run, token);
    if (!p)
        return false;
    if (p->rank_search > RANK_STREET && p->parent < run->ix->places->place_count) {
        if (parent_gives(run, b, p->parent))
            return true;
        if ((p->flags & PLC_OWN_LINES) && lines_bear(run, b, place))
            return true;
    } else if (lines_bear(run, b, place)) {
        return true;
    }
    return nom_row_has_extra(run->w, place, token);
}

static bool name_has_all(const nom_run *run, uint32_t place, const nom_tokens *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (!nom_row_has(run->w, place, t->items[i]))
            return false;
    return true;
}

static bool name_has_any(const nom_run *run, uint32_t place, const nom_tokens *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (nom_row_has(run->w, place, t->items[i]))
            return true;
    return t->count == 0;
}

static bool address_has_all(nom_run *run, uint32_t place, const nom_tokens *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (!nom_address_has(run, place, t->items[i]))
            return false;
    return true;
}

static bool address_has_any(nom_run *run, uint32_t place, const nom_tokens *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (nom_address_has(run, place, t->items[i]))
            return true;
    return t->count == 0;
}

/* --- Candidates. */

static double weigh(nom_run *run, const nom_ranking *r, uint32_t place)
{
    for (uint32_t i = 0; i < r->count; i++) {
        const nom_tokens *t = &r->ranks[i].tokens;
        if (r->address ? address_has_all(run, place, t) : name_has_all(run, place, t))
            return r->ranks[i].penalty;
    }
    return r->otherwise;
}

/* What the plan and the question demand of a row besides its words. */
static bool row_fits(const nom_run *run, const nom_plan *plan, uint32_t place)
{
    const nom_details *d = &run->details;
    const plc_disk_place *p = run->ix->places->places + place;
    unsigned rank = p->rank_address;
    if (plan->countries.count && !nom_in_countries(&plan->countries, p->country))
        return false;
    geo_box at = geo_box_at(nom_place_at(p));
    if (d->has_viewbox && d->bounded && !geo_box_meets(at, d->viewbox))
        return false;
    if (d->has_near && d->near_radius >= 0 &&
        nom_degrees_between(nom_place_at(p), d->near) >= d->near_radius)
        return false;
    if (plan->kind == NOM_PLAN_ADDRESS)
        return rank >= RANK_CITY && rank <= (plan->has_address ? RANK_POI : RANK_STREET);
    if ((plan->countries.count && rank == RANK_COUNTRY) ||
        (plan->postcodes.count && rank <= RANK_STATE))
        return false;
    if (d->rank_max < 26 ? rank >= 26 : d->rank_max < 30 && rank >= d->rank_max)
        return false;
    return !nom_is_excluded(run, NOM_PLACE, place);
}

static bool words_fit(nom_run *run, const nom_plan *plan, uint32_t place)
{
    return name_has_all(run, place, &plan->name_all) && name_has_any(run, place, &plan->name_any) &&
           address_has_all(run, place, &plan->address_all) &&
           address_has_any(run, place, &plan->address_any);
}

/* A merge of the lists of several words. */
typedef struct sources {
    nom_postings items[64];
    bool live[64];
    uint32_t count;
} sources;

static void open_sources(const nom_run *run, const nom_plan *plan, sources *s)
{
    s->count = 0;
    if (plan->name_all.count) {
        uint32_t best = 0, least = UINT32_MAX;
        for (uint32_t i = 0; i < plan->name_all.count; i++) {
            const nom_disk_token *t = nom_token(run->w, plan->name_all.items[i]);
            uint32_t count = t ? t->count : 0;
            if (count < least) {
                least = count;
                best = plan->name_all.items[i];
            }
        }
        nom_postings_begin(run->w, best, &s->items[s->count++]);
    } else {
        for (uint32_t i = 0; i < plan->name_any.count && s->count < 64; i++)
            nom_postings_begin(run->w, plan->name_any.items[i], &s->items[s->count++]);
    }
    for (uint32_t i = 0; i < s->count; i++)
        s->live[i] = nom_postings_next(&s->items[i]);
}

static bool next_place(sources *s, uint32_t *place)
{
    uint32_t least = PLC_NONE;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->live[i] && s->items[i].place < least)
            least = s->items[i].place;
    for (uint32_t i = 0; i < s->count; i++)
        if (s->live[i] && s->items[i].place == least)
            s->live[i] = nom_postings_next(&s->items[i]);
    *place = least;
    return least != PLC_NONE;
}

nom_candidate *nom_candidates(nom_run *run, const nom_plan *plan, uint32_t most, uint32_t *count)
{
    sources s;
    uint32_t place;
    nom_candidate *out = NULL;
    size_t cap = 0;
    *count = 0;
    open_sources(run, plan, &s);
    while (*count < most && !run->failed && next_place(&s, &place)) {
        if (!nom_has_row(run->w, place) || !row_fits(run, plan, place) ||
            !words_fit(run, plan, place))
            continue;
        double penalty = plan->penalty;
        for (uint32_t i = 0; i < plan->ranking_count; i++)
            penalty += weigh(run, &plan->rankings[i], place);
        if (!sx_arena_grow(&run->s->arena, &out, &cap, *count + 1u, sizeof(*out)))
            run->failed = true;
        else
            out[(*count)++] = (nom_candidate){place, penalty};
    }
    return out;
}

static double importance_of(const nom_run *run, uint32_t place)
{
    return nom_importance_of(run->ix->places->places + place);
}

/* --- Postcodes of addresses. */

static bool is_postcode(const nom_choices *postcodes, sx_str text)
{
    for (uint32_t i = 0; i < postcodes->count; i++)
        if (sx_str_eq(postcodes->items[i].text, text))
            return true;
    return false;
}

/* How far the nearest such postcode is: of a house weighted by the postcode's extent. */
static double postcode_distance(const nom_run *run, const nom_plan *plan, const plc_disk_place *p)
{
    uint32_t count;
    const plc_disk_postcode *rows = plc_postcodes(run->ix->places, &count);
    double best = INFINITY;
    bool numbered = plan->kind == NOM_PLAN_ADDRESS;
    for (uint32_t i = 0; i < count; i++) {
        if (!is_postcode(&plan->postcodes, plc_string(run->ix->places, rows[i].postcode)) ||
            (numbered && rows[i].country != p->country))
            continue;
        geo_at at = {rows[i].lon_e7, rows[i].lat_e7};
        double distance = nom_degrees_between(at, geo_pt_of(nom_place_at(p)));
        if (numbered)
            distance *= (double)rows[i].rank_search - 19;
        best = distance < best ? distance : best;
    }
    return isinf(best) ? 2.0 : best;
}

static double postcode_penalty(const nom_run *run, const nom_plan *plan, const plc_disk_place *p)
{
    if (plan->postcodes.count == 0 ||
        is_postcode(&plan->postcodes, plc_string(run->ix->places, p->postcode)))
        return 0;
    if (plan->kind == NOM_PLAN_PLACE && !plan->has_address)
        return 1.0;
    return postcode_distance(run, plan, p);
}

/* --- Places. */

/* Rows in the order in which they are taken: `key`, then `second`, then as they came. */
typedef struct sorted_row {
    double key, second, penalty;
    uint64_t order; /* of equals */
    uint32_t place;
} sorted_row;

static int by_key(const void *a, const void *b)
{
    const sorted_row *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    if (x->second != y->second)
        return x->second < y->second ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static void add_row(nom_run *run, const nom_plan *plan, sorted_row *rows, uint32_t *count,
                    const nom_candidate *c)
{
    const plc_disk_place *p = run->ix->places->places + c->place;
    double penalty = c->penalty + postcode_penalty(run, plan, p);
    double key = penalty - importance_of(run, c->place);
    if (run->details.has_near)
        key = nom_degrees_between(nom_place_at(p), run->details.near);
    rows[*count] = (sorted_row){key, penalty, penalty, nom_order_of(p), c->place};
    (*count)++;
}

static bool place_fits(const nom_run *run, const nom_plan *plan, uint32_t place)
{
    const nom_details *d = &run->details;
    const plc_disk_place *p = run->ix->places->places + place;
    if (d->rank_min > 0 && p->rank_address < d->rank_min && p->rank_search < d->rank_min)
        return false;
    if (d->rank_max < 30 && p->rank_address > d->rank_max && p->rank_search > d->rank_max)
        return false;
    if (p->flags & PLC_LINKED)
        return false;
    if (plan->qualifiers.count && !nom_has_category(run, &plan->qualifiers, p))
        return false;
    return d->layers == 0 || nom_in_layers(run, p, place);
}

void nom_run_places(nom_run *run, const nom_plan *plan, nom_founds *out)
{
    const nom_details *d = &run->details;
    uint32_t count, kept = 0;
    bool wide = !(d->has_viewbox && d->bounded) && !(d->has_near && d->near_radius >= 0) &&
                plan->qualifiers.count == 0;
    nom_candidate *c = nom_candidates(
        run, plan, plan->qualifiers.count ? NOM_CANDIDATES_QUALIFIED_MAX : NOM_CANDIDATES_MAX,
        &count);
    sorted_row *rows = sx_arena_alloc(&run->s->arena, (count + 1u) * sizeof(*rows));
    if (!rows || run->failed) {
        run->failed = true;
        return;
    }
    double best = INFINITY;
    for (uint32_t i = 0; i < count; i++) {
        const plc_disk_place *p = run->ix->places->places + c[i].place;
        c[i].penalty += nom_viewbox_penalty(run, geo_box_at(nom_place_at(p))) +
                        nom_bias_penalty(run, nom_place_at(p));
        double ranking = c[i].penalty - importance_of(run, c[i].place);
        best = ranking < best ? ranking : best;
    }
    for (uint32_t i = 0; i < count; i++)
        if ((!wide || c[i].penalty - importance_of(run, c[i].place) < best + 0.5) &&
            place_fits(run, plan, c[i].place))
            add_row(run, plan, rows, &kept, &c[i]);
    if (kept)
        qsort(rows, kept, sizeof(*rows), by_key);
    for (uint32_t i = 0; i < kept && i < d->limit; i++)
        nom_found_put(run, out, nom_found_place(run, rows[i].place, rows[i].penalty));
}

/* --- Addresses. */

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (uint8_t)c >= 0x80;
}

/* `number` stands among `numbers` as a word of its own. */
static bool has_number(sx_str numbers, sx_str number)
{
    if (number.len == 0)
        return false;
    for (size_t at = 0; at + number.len <= numbers.len; at++)
        if (memcmp(numbers.data + at, number.data, number.len) == 0 &&
            (at == 0 || !is_word_byte(numbers.data[at - 1])) &&
            (at + number.len == numbers.len || !is_word_byte(numbers.data[at + number.len])))
            return true;
    return false;
}

static bool fits_number(const nom_choices *wanted, sx_str numbers)
{
    for (uint32_t i = 0; i < wanted->count && numbers.len; i++)
        if (has_number(numbers, wanted->items[i].text))
            return true;
    return false;
}

/* One of the numbers is exactly one that is wanted. */
static bool is_number(const nom_choices *wanted, sx_str numbers)
{
    sx_str one;
    while (numbers.len) {
        (void)sx_str_cut(numbers, ';', &one, &numbers);
        for (uint32_t i = 0; i < wanted->count; i++)
            if (sx_str_eq(wanted->items[i].text, one))
                return true;
    }
    return false;
}

static bool is_house(const nom_run *run, const nom_plan *plan, uint32_t street, uint32_t place)
{
    const plc_disk_place *p = run->ix->places->places + place;
    return p->parent == street && !(p->flags & PLC_LINKED) &&
           fits_number(&plan->numbers, nom_numbers_of(run->w, place)) &&
           !nom_is_excluded(run, NOM_PLACE, place) &&
           (plan->qualifiers.count == 0 || nom_has_category(run, &plan->qualifiers, p));
}

static bool has_house(const nom_run *run, const nom_plan *plan, uint32_t street)
{
    uint32_t first, count = plc_children(run->ix->places, street, &first);
    for (uint32_t i = first; i < first + count; i++)
        if (is_house(run, plan, street, i))
            return true;
    return false;
}

static bool numeral(sx_str text, int64_t *out)
{
    uint64_t value;
    if (text.len > NUMBER_DIGITS_MAX || !sx_str_to_u64(text, &value))
        return false;
    *out = (int64_t)value;
    return true;
}

static bool interpolates(const plc_disk_interpolation *line, int64_t n, bool exactly)
{
    if (n < line->first || n > line->last)
        return false;
    return !exactly || line->step == 0 || (n - line->first) % line->step == 0;
}

static bool lies_on(const nom_run *run, const nom_plan *plan, const plc_disk_interpolation *line)
{
    const plc_bytes *s = &run->ix->places->s[PLC_S_INTERPOLATIONS];
    uint32_t id = (uint32_t)(line - (const plc_disk_interpolation *)(const void *)s->data);
    for (uint32_t i = 0; i < plan->numbers.count; i++) {
        int64_t n;
        if (numeral(plan->numbers.items[i].text, &n) && interpolates(line, n, true))
            return !nom_is_excluded(run, NOM_INTERPOLATION, id) &&
                   !nom_is_excluded(run, NOM_PLACE, line->parent);
    }
    return false;
}

/* Interpolated houses are of the category place=house. */
static bool may_interpolate(const nom_plan *plan)
{
    bool house = plan->qualifiers.count == 0;
    for (uint32_t i = 0; i < plan->qualifiers.count; i++)
        house |= sx_str_eq(plan->qualifiers.items[i].class_name, SX_STR("place")) &&
                 sx_str_eq(plan->qualifiers.items[i].type, SX_STR("house"));
    return house;
}

static bool has_interpolation(const nom_run *run, const nom_plan *plan, uint32_t street)
{
    uint32_t count;
    const plc_disk_interpolation *lines = plc_interpolations(run->ix->places, street, &count);
    bool found = false;
    for (uint32_t i = 0; i < count && may_interpolate(plan) && !found; i++)
        found = lies_on(run, plan, &lines[i]);
    return found;
}

static geo_at point_on(nom_run *run, const plc_disk_interpolation *line, int64_t n)
{
    sx_str bytes = plc_shape(run->ix->places, line->shape);
    geo_cursor c = {(const uint8_t *)bytes.data, (const uint8_t *)bytes.data + bytes.len, false};
    geo_shape shape;
    if (bytes.len == 0 ||
        geo_shape_decode(&c, &run->s->arena, (geo_shape_limits){0}, &shape, NULL) != SX_OK ||
        shape.ring_count == 0)
        return (geo_at){line->lon_min, line->lat_min};
    if (line->last == line->first)
        return geo_at_of(geo_shape_centroid(&shape));
    return geo_at_of(geo_line_point(&shape.rings[0], (double)(n - line->first) /
                                                         ((double)line->last - line->first)));
}

static void put_interpolated(nom_run *run, const nom_plan *plan, const plc_disk_interpolation *line,
                             double penalty, nom_founds *out)
{
    const plc_bytes *s = &run->ix->places->s[PLC_S_INTERPOLATIONS];
    uint32_t id = (uint32_t)(line - (const plc_disk_interpolation *)(const void *)s->data);
    for (uint32_t i = 0; i < plan->numbers.count; i++) {
        int64_t n;
        if (!numeral(plan->numbers.items[i].text, &n) || !interpolates(line, n, false))
            continue;
        nom_found f = {.penalty = penalty,
                       .rank_search = RANK_POI,
                       .rank_address = RANK_POI,
                       .country = line->country};
        f.hit = (nom_hit){.source = NOM_INTERPOLATION, .id = id, .number = (uint32_t)n};
        f.hit.at = point_on(run, line, n);
        f.hit.box = geo_box_at(f.hit.at);
        f.hit.importance = nom_rank_importance(RANK_POI);
        nom_found_put(run, out, f);
    }
}

/* A house of a street, and where it stands among equals. */
typedef struct house {
    uint64_t order;
    uint32_t place;
} house;

static int by_order(const void *a, const void *b)
{
    const house *x = a, *y = b;
    if (x->order != y->order)
        return x->order < y->order ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

static uint32_t put_houses(nom_run *run, const nom_plan *plan, uint32_t street, double penalty,
                           nom_founds *out)
{
    house *houses = NULL;
    size_t count = 0, cap = 0;
    uint32_t first, children = plc_children(run->ix->places, street, &first);
    for (uint32_t i = first; i < first + children && !run->failed; i++) {
        if (!is_house(run, plan, street, i))
            continue;
        if (!sx_arena_grow(&run->s->arena, &houses, &cap, count + 1, sizeof(house)))
            run->failed = true;
        else
            houses[count++] = (house){nom_order_of(run->ix->places->places + i), i};
    }
    if (count)
        qsort(houses, count, sizeof(house), by_order);
    for (size_t i = 0; i < count; i++) {
        uint32_t place = houses[i].place;
        double further = is_number(&plan->numbers, nom_numbers_of(run->w, place)) ? 0 : 0.6;
        nom_found_put(run, out, nom_found_place(run, place, penalty + further));
    }
    return (uint32_t)count;
}

/* The houses of a street that have the number, then the street itself, which costs more. */
static void put_street(nom_run *run, const nom_plan *plan, uint32_t street, double penalty,
                       nom_founds *out)
{
    const plc_disk_place *p = run->ix->places->places + street;
    uint32_t count, houses = put_houses(run, plan, street, penalty, out);
    const plc_disk_interpolation *lines = plc_interpolations(run->ix->places, street, &count);
    for (uint32_t i = 0; i < count && houses == 0 && may_interpolate(plan); i++)
        if (lies_on(run, plan, &lines[i]))
            put_interpolated(run, plan, &lines[i], penalty, out);
    if (!nom_is_excluded(run, NOM_PLACE, street) &&
        (plan->qualifiers.count == 0 || nom_has_category(run, &plan->qualifiers, p)) &&
        p->rank_address >= run->details.rank_min)
        nom_found_put(run, out, nom_found_place(run, street, penalty + 1.0));
}

void nom_run_addresses(nom_run *run, const nom_plan *plan, nom_founds *out)
{
    uint32_t count, kept = 0;
    nom_candidate *c = nom_candidates(run, plan, NOM_CANDIDATES_ADDRESS_MAX, &count);
    sorted_row *rows = sx_arena_alloc(&run->s->arena, (count + 1u) * sizeof(*rows));
    if (!rows || run->failed) {
        run->failed = true;
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        const plc_disk_place *p = run->ix->places->places + c[i].place;
        if (plan->has_address && p->rank_address >= RANK_POI &&
            !fits_number(&plan->numbers, nom_numbers_of(run->w, c[i].place)))
            continue;
        c[i].penalty +=
            nom_viewbox_penalty(run, nom_place_box(p)) + nom_bias_penalty(run, nom_place_at(p));
        add_row(run, plan, rows, &kept, &c[i]);
    }
    if (kept)
        qsort(rows, kept, sizeof(*rows), by_key);
    for (uint32_t i = 0; i < kept; i++) {
        bool known = has_house(run, plan, rows[i].place);
        bool between = !known && has_interpolation(run, plan, rows[i].place);
        rows[i].key = rows[i].penalty + (known || between ? 0 : 1);
        rows[i].second = known ? 1 : between ? 2 : 4;
        rows[i].order = i;
    }
    if (kept)
        qsort(rows, kept, sizeof(*rows), by_key);
    for (uint32_t i = 0; i < kept && i < run->details.limit; i++) {
        if (run->ix->places->places[rows[i].place].rank_address < RANK_POI)
            put_street(run, plan, rows[i].place, rows[i].penalty, out);
        else
            nom_found_put(run, out, nom_found_place(run, rows[i].place, rows[i].penalty));
    }
}

void nom_plan_run(nom_run *run, const nom_plan *plan, nom_founds *out)
{
    nom_founds base = {0}, *to = plan->near.count ? &base : out;
    switch (plan->kind) {
    case NOM_PLAN_COUNTRY:
        nom_run_countries(run, plan, to);
        break;
    case NOM_PLAN_PLACE:
        nom_run_places(run, plan, to);
        break;
    case NOM_PLAN_ADDRESS:
        nom_run_addresses(run, plan, to);
        break;
    case NOM_PLAN_POSTCODE:
        nom_run_postcodes(run, plan, to);
        break;
    case NOM_PLAN_POI:
        nom_run_pois(run, plan, to);
        break;
    }
    if (plan->near.count)
        nom_run_near(run, plan, &base, out);
}
