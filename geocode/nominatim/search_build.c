/* search_build.c - what to look for: every assignment of a query becomes plans.
 *
 * A name is looked for by its single words; how well a place's name fits is a matter of rankings, which
 * charge less for a whole name than for its words. Words that are everywhere are looked for as whole
 * names, or not at all. Rules and figures are those of Nominatim 5.3.3. */
#include <math.h>
#include <stdlib.h>

#include "geocode/nominatim/search_impl.h"

enum {
    TOKENS_MAX = NOM_NODES_MAX,
    UNKNOWN_COUNT = 100000, /* a word seen once: there may be no count of it */
    PARTS_TODO_MAX = 512,
    RANKS_ENOUGH = 10,
    NUMBER_COUNT_MAX = 10000,
    FULLS_MAX = 5,
};

/* The words of a part with how often each occurs, the rarest first. */
typedef struct counted {
    uint32_t counts[TOKENS_MAX], tokens[TOKENS_MAX];
    uint32_t count;
} counted;

/* How a part of the address may be had: the same for every assignment that has this part. */
typedef struct part_ranking {
    nom_ranking ranking; /* without what every way costs */
    double least;
} part_ranking;

typedef struct part_ways part_ways;

typedef struct builder {
    nom_run *run;
    const nom_ask *ask;
    sx_arena *arena;
    nom_plan *plans;
    size_t count, cap;
    part_ways *ways; /* scratch */
    part_ranking *parts;
    size_t part_count, part_cap;
    uint16_t part_at[NOM_NODES_MAX][NOM_NODES_MAX]; /* + 1; 0: not made yet */
} builder;

static void *take(builder *b, size_t count, size_t size)
{
    void *p = sx_arena_calloc(b->arena, count + 1, size);
    b->run->failed |= !p;
    return p;
}

/* --- Counted words. */

static uint32_t sort_key(uint32_t count)
{
    return count > 1 ? count : UNKNOWN_COUNT;
}

static void count_word(counted *c, uint32_t count, uint32_t token)
{
    for (uint32_t i = 0; i < c->count; i++)
        if (c->tokens[i] == token && c->counts[i] == count)
            return;
    if (c->count == TOKENS_MAX)
        return;
    uint32_t at = c->count++;
    while (at > 0 && sort_key(c->counts[at - 1]) > sort_key(count)) {
        c->counts[at] = c->counts[at - 1];
        c->tokens[at] = c->tokens[at - 1];
        at--;
    }
    c->counts[at] = count;
    c->tokens[at] = token;
}

static void count_range(const nom_ask *q, nom_range r, bool address, counted *c)
{
    for (uint32_t i = r.start; i < r.end; i++) {
        const nom_qtoken *t = q->nodes[i].partial;
        if (t)
            count_word(c, address ? t->address_count : t->count, t->token);
    }
}

/* How many of the words make a lookup that finds less than `limit` rows; -1: no number does. */
static int words_for(const counted *c, double limit, double factor)
{
    int most = c->count < 3 ? (int)c->count : 3;
    if (c->counts[0] == 1)
        return most;
    for (int i = 0; i < most; i++, limit *= factor)
        if (c->counts[0] < limit)
            return i + 1;
    return -1;
}

static double expected(const counted *c, double factor)
{
    return floor((double)c->counts[0] / pow(factor, (double)c->count - 1));
}

static nom_tokens tokens_of(builder *b, const counted *c)
{
    nom_tokens t = {take(b, c->count, sizeof(uint32_t)), 0};
    for (uint32_t i = 0; i < c->count && t.items; i++)
        t.items[t.count++] = c->tokens[i];
    return t;
}

static nom_tokens tokens_in(builder *b, const nom_qlist *list)
{
    nom_tokens t = {take(b, list ? list->count : 0, sizeof(uint32_t)), 0};
    for (size_t i = 0; list && i < list->count && t.items; i++)
        t.items[t.count++] = list->tokens[i].token;
    return t;
}

static double rows_of(const nom_qlist *list)
{
    double rows = 0;
    for (size_t i = 0; list && i < list->count; i++)
        rows += list->tokens[i].count;
    return rows;
}

/* --- Rankings. */

static double penalty_inside(const nom_ask *q, nom_range r)
{
    double penalty = 0;
    for (uint32_t i = r.start + 1u; i < r.end; i++)
        penalty += nom_continue_penalty(&q->nodes[i]);
    return penalty;
}

/* What it costs to have only the single words. */
static double penalty_of_words(const nom_ask *q, nom_range r)
{
    double penalty = 0.2;
    for (uint32_t i = r.start; i < r.end; i++)
        penalty += q->nodes[i].partial ? q->nodes[i].partial->penalty : 0;
    for (uint32_t i = r.start + 1u; i < r.end; i++)
        penalty += nom_break_penalty(&q->nodes[i]);
    return penalty;
}

static int by_penalty(const void *a, const void *b)
{
    const nom_rank *x = a, *y = b;
    return (x->penalty > y->penalty) - (x->penalty < y->penalty);
}

/* The least penalty, which every way costs, is taken off. */
static double normalise(nom_ranking *r)
{
    double least = r->otherwise;
    for (uint32_t i = 0; i < r->count; i++)
        least = r->ranks[i].penalty < least ? r->ranks[i].penalty : least;
    if (least <= 0)
        return least;
    r->otherwise -= least;
    for (uint32_t i = 0; i < r->count; i++)
        r->ranks[i].penalty -= least;
    return least;
}

static nom_ranking name_ranking(builder *b, nom_range name)
{
    const nom_qlist *fulls = nom_ask_list(b->ask, name.start, name.end, NOM_T_WORD);
    size_t count = fulls ? fulls->count : 0;
    nom_ranking r = {.otherwise = penalty_of_words(b->ask, name)};
    r.ranks = take(b, count, sizeof(nom_rank));
    double inside = penalty_inside(b->ask, name);
    for (size_t i = 0; i < count && r.ranks; i++) {
        uint32_t *token = take(b, 1, sizeof(uint32_t));
        if (!token)
            break;
        *token = fulls->tokens[i].token;
        r.ranks[r.count++] = (nom_rank){fulls->tokens[i].penalty + inside, {token, 1}};
    }
    if (r.count)
        qsort(r.ranks, r.count, sizeof(nom_rank), by_penalty);
    return r;
}

/* A way through an address part: whole names and single words up to a node. */
typedef struct part_way {
    uint32_t at;
    nom_rank rank;
} part_way;

struct part_ways {
    builder *b;
    nom_range range;
    part_way todo[PARTS_TODO_MAX];
    uint32_t todo_count;
    nom_rank ranks[NOM_RANKS_MAX * 8];
    uint32_t count;
};

static int order_of_ways(const part_way *x, const part_way *y)
{
    if (x->at != y->at)
        return x->at > y->at ? -1 : 1; /* the furthest first */
    if (x->rank.penalty != y->rank.penalty)
        return x->rank.penalty < y->rank.penalty ? -1 : 1;
    uint32_t least =
        x->rank.tokens.count < y->rank.tokens.count ? x->rank.tokens.count : y->rank.tokens.count;
    for (uint32_t i = 0; i < least; i++)
        if (x->rank.tokens.items[i] != y->rank.tokens.items[i])
            return x->rank.tokens.items[i] < y->rank.tokens.items[i] ? -1 : 1;
    return (x->rank.tokens.count > y->rank.tokens.count) -
           (x->rank.tokens.count < y->rank.tokens.count);
}

static void put_way(part_ways *w, uint32_t at, nom_rank rank)
{
    if (at == w->range.end) {
        if (w->count < sizeof(w->ranks) / sizeof(w->ranks[0]))
            w->ranks[w->count++] = rank;
    } else if (w->todo_count < PARTS_TODO_MAX) {
        w->todo[w->todo_count++] = (part_way){at, rank};
    }
}

static nom_rank with_token(builder *b, nom_rank rank, const nom_qtoken *token, double further)
{
    nom_rank out = {rank.penalty + token->penalty + further,
                    {take(b, rank.tokens.count + 1, sizeof(uint32_t)), 0}};
    if (!out.tokens.items)
        return out;
    if (rank.tokens.count)
        memcpy(out.tokens.items, rank.tokens.items, rank.tokens.count * sizeof(uint32_t));
    out.tokens.items[rank.tokens.count] = token->token;
    out.tokens.count = rank.tokens.count + 1;
    return out;
}

static void extend_way(part_ways *w, part_way way)
{
    const nom_ask *q = w->b->ask;
    const nom_node *node = &q->nodes[way.at];
    if (node->partial) {
        nom_rank rank = way.rank;
        rank.penalty += node->partial->penalty;
        if (way.at + 1 < w->range.end)
            rank.penalty += nom_break_penalty(&q->nodes[way.at + 1]);
        put_way(w, way.at + 1, rank);
    }
    for (const nom_qlist *list = node->lists; list; list = list->next) {
        if (list->kind != NOM_T_WORD || list->end > w->range.end)
            continue;
        double further = penalty_inside(q, (nom_range){(uint8_t)way.at, (uint8_t)list->end});
        if (list->end < w->range.end)
            further += nom_break_penalty(&q->nodes[list->end]);
        for (size_t i = 0; i < list->count; i++)
            put_way(w, list->end, with_token(w->b, way.rank, &list->tokens[i], further));
    }
}

static part_way next_way(part_ways *w)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < w->todo_count; i++)
        if (order_of_ways(&w->todo[i], &w->todo[best]) < 0)
            best = i;
    part_way way = w->todo[best];
    memmove(w->todo + best, w->todo + best + 1, (--w->todo_count - best) * sizeof(part_way));
    return way;
}

/* All ways of reading an address part as names and words; with many, the rest costs as words do. */
static nom_ranking address_ranking(builder *b, nom_range range)
{
    nom_ranking r = {.address = true};
    part_ways *w = b->ways;
    w->b = b;
    w->range = range;
    w->todo_count = w->count = 0;
    put_way(w, range.start, (nom_rank){0});
    while (w->todo_count && !b->run->failed) {
        part_way way = next_way(w);
        extend_way(w, way);
        if (w->count >= RANKS_ENOUGH) {
            nom_rank rest = {way.rank.penalty + penalty_of_words(b->ask, range), {NULL, 0}};
            if (w->count == sizeof(w->ranks) / sizeof(w->ranks[0]))
                w->count--;
            w->ranks[w->count++] = rest;
            break;
        }
    }
    if (w->count == 0)
        return r;
    uint32_t least = 0; /* the first with the fewest tokens is what is charged otherwise */
    for (uint32_t i = 1; i < w->count; i++)
        if (w->ranks[i].tokens.count < w->ranks[least].tokens.count)
            least = i;
    r.otherwise = w->ranks[least].penalty + 0.3;
    r.ranks = take(b, w->count, sizeof(nom_rank));
    for (uint32_t i = 0; i < w->count && r.ranks; i++)
        if (i != least)
            r.ranks[r.count++] = w->ranks[i];
    if (r.count)
        qsort(r.ranks, r.count, sizeof(nom_rank), by_penalty);
    return r;
}

/* The same, made once a query. NULL without memory. */
static const part_ranking *ranking_of_part(builder *b, nom_range range)
{
    uint16_t *at = &b->part_at[range.start][range.end];
    if (*at)
        return &b->parts[*at - 1];
    nom_ranking r = address_ranking(b, range);
    if (b->run->failed || !sx_arena_grow(b->arena, &b->parts, &b->part_cap, b->part_count + 1,
                                         sizeof(part_ranking))) {
        b->run->failed = true;
        return NULL;
    }
    double least = r.count ? normalise(&r) : r.otherwise;
    b->parts[b->part_count++] = (part_ranking){r, least};
    *at = (uint16_t)b->part_count;
    return &b->parts[b->part_count - 1];
}

/* --- What an assignment says besides names. */

static double least_penalty(const nom_qlist *list)
{
    double least = list->tokens[0].penalty;
    for (size_t i = 1; i < list->count; i++)
        least = list->tokens[i].penalty < least ? list->tokens[i].penalty : least;
    return least;
}

static void set_texts(builder *b, const nom_qlist *list, nom_choices *out, double *penalty)
{
    if (!list)
        return;
    double least = least_penalty(list);
    out->items = take(b, list->count, sizeof(nom_weighted));
    for (size_t i = 0; i < list->count && out->items; i++)
        out->items[out->count++] = (nom_weighted){.text = list->tokens[i].lookup,
                                                  .penalty = list->tokens[i].penalty - least};
    *penalty += least;
}

/* Countries of the words, as far as they are wanted. False: none is. */
static bool set_countries(builder *b, const nom_qlist *list, nom_plan *plan)
{
    const nom_search_query *q = b->run->details.query;
    double least = 1000;
    plan->countries.items = take(b, list ? list->count : 0, sizeof(nom_weighted));
    for (size_t i = 0; list && i < list->count && plan->countries.items; i++) {
        const nom_qtoken *t = &list->tokens[i];
        bool wanted = q->country_count == 0;
        for (uint32_t k = 0; k < q->country_count; k++)
            wanted |= q->countries[k] == t->country;
        if (!wanted)
            continue;
        least = t->penalty < least ? t->penalty : least;
        uint32_t at = 0;
        while (at < plan->countries.count && plan->countries.items[at].country != t->country)
            at++;
        if (at == plan->countries.count)
            plan->countries.items[plan->countries.count++] =
                (nom_weighted){.country = t->country, .penalty = t->penalty};
        else if (t->penalty < plan->countries.items[at].penalty)
            plan->countries.items[at].penalty = t->penalty;
    }
    for (uint32_t i = 0; i < plan->countries.count; i++)
        plan->countries.items[i].penalty -= least;
    plan->penalty += plan->countries.count ? least : 0;
    return plan->countries.count > 0;
}

static void set_asked_countries(builder *b, nom_plan *plan)
{
    const nom_search_query *q = b->run->details.query;
    plan->countries.items = take(b, q->country_count, sizeof(nom_weighted));
    for (uint32_t i = 0; i < q->country_count && plan->countries.items; i++)
        plan->countries.items[plan->countries.count++] = (nom_weighted){.country = q->countries[i]};
}

/* The categories of phrases, each once, with its least penalty. */
static nom_choices categories_of(builder *b, const nom_qlist *list)
{
    const nom_details *d = &b->run->details;
    nom_choices out = {take(b, list ? list->count : 0, sizeof(nom_weighted)), 0};
    for (size_t i = 0; list && i < list->count && out.items; i++) {
        nom_weighted c = {.penalty = list->tokens[i].penalty};
        if (!nom_category_of(b->run->w, list->tokens[i].token, &c.class_name, &c.type))
            continue;
        if (d->class_name.len && !(sx_str_eq(d->class_name, c.class_name) &&
                                   (d->type.len == 0 || sx_str_eq(d->type, c.type))))
            continue;
        uint32_t at = 0;
        while (at < out.count && !(sx_str_eq(out.items[at].class_name, c.class_name) &&
                                   sx_str_eq(out.items[at].type, c.type)))
            at++;
        if (at == out.count)
            out.items[out.count++] = c;
        else if (c.penalty < out.items[at].penalty)
            out.items[at].penalty = c.penalty;
    }
    return out;
}

static double least_of(const nom_choices *c)
{
    double least = c->items[0].penalty;
    for (uint32_t i = 1; i < c->count; i++)
        least = c->items[i].penalty < least ? c->items[i].penalty : least;
    return least;
}

static bool set_qualifiers(builder *b, const nom_assignment *a, nom_plan *plan)
{
    const nom_details *d = &b->run->details;
    if (nom_is_range(a->qualifier)) {
        plan->qualifiers = categories_of(
            b, nom_ask_list(b->ask, a->qualifier.start, a->qualifier.end, NOM_T_QUALIFIER));
        if (plan->qualifiers.count == 0)
            return false;
        plan->penalty += least_of(&plan->qualifiers) + penalty_inside(b->ask, a->qualifier);
    } else if (d->class_name.len) {
        plan->qualifiers.items = take(b, 1, sizeof(nom_weighted));
        if (plan->qualifiers.items)
            plan->qualifiers.items[plan->qualifiers.count++] =
                (nom_weighted){.class_name = d->class_name, .type = d->type};
    }
    return true;
}

static bool set_data(builder *b, const nom_assignment *a, nom_plan *plan)
{
    const nom_ask *q = b->ask;
    plan->penalty = a->penalty;
    if (nom_is_range(a->country)) {
        if (!set_countries(b, nom_ask_list(q, a->country.start, a->country.end, NOM_T_COUNTRY),
                           plan))
            return false;
        plan->penalty += penalty_inside(q, a->country);
    } else {
        set_asked_countries(b, plan);
    }
    if (nom_is_range(a->number)) {
        set_texts(b, nom_ask_list(q, a->number.start, a->number.end, NOM_T_NUMBER), &plan->numbers,
                  &plan->penalty);
        plan->penalty += penalty_inside(q, a->number);
    }
    if (nom_is_range(a->postcode)) {
        set_texts(b, nom_ask_list(q, a->postcode.start, a->postcode.end, NOM_T_POSTCODE),
                  &plan->postcodes, &plan->penalty);
        plan->penalty += penalty_inside(q, a->postcode);
    }
    if (!set_qualifiers(b, a, plan))
        return false;
    plan->rankings = take(b, a->address_count + 1u, sizeof(nom_ranking));
    for (uint32_t i = 0; i < a->address_count && plan->rankings; i++) {
        const part_ranking *part = ranking_of_part(b, a->address[i]);
        if (!part)
            return false;
        plan->penalty += part->least;
        if (part->ranking.count)
            plan->rankings[plan->ranking_count++] = part->ranking;
    }
    return plan->rankings != NULL;
}

/* --- Plans. */

/* Keeps a plan of an assignment, whose penalty counts a second time. */
static void put(builder *b, const nom_assignment *a, nom_plan plan, double further)
{
    if (b->count == NOM_PLANS_MADE_MAX || b->run->failed)
        return;
    plan.penalty += further;
    if (plan.near.count) {
        plan.near_penalty += a->penalty + plan.penalty;
        plan.penalty = 0;
    } else {
        plan.penalty += a->penalty;
    }
    plan.order = (uint32_t)b->count;
    if (!sx_arena_grow(b->arena, &b->plans, &b->cap, b->count + 1, sizeof(plan)))
        b->run->failed = true;
    else
        b->plans[b->count++] = plan;
}

static bool has_layer(const builder *b, uint32_t layer)
{
    return b->run->details.layers == 0 || (b->run->details.layers & layer);
}

static void put_name_only(builder *b, const nom_assignment *a, nom_plan plan, const counted *name,
                          double further)
{
    if (words_for(name, 30000, 6) > 0) {
        plan.name_all = tokens_of(b, name);
        put(b, a, plan, further);
        return;
    }
    const nom_qlist *all = nom_ask_list(b->ask, a->name.start, a->name.end, NOM_T_WORD);
    nom_qlist fulls = {.tokens = take(b, all ? all->count : 0, sizeof(nom_qtoken))};
    for (size_t i = 0; all && i < all->count && fulls.tokens; i++)
        if (all->tokens[i].count < 50000)
            fulls.tokens[fulls.count++] = all->tokens[i];
    nom_plan by_full = plan;
    by_full.name_any = tokens_in(b, &fulls);
    if (by_full.name_any.count)
        put(b, a, by_full, further);
    if (expected(name, 5) < 50000) {
        plan.name_all = tokens_of(b, name);
        put(b, a, plan, further + 1.0);
    }
}

static void put_with_address(builder *b, const nom_assignment *a, nom_plan plan,
                             const counted *name, const counted *address, double further)
{
    int by_name = words_for(name, 20000, 6), by_address = words_for(address, 10000, 3);
    if (by_name < 0 && by_address < 0) {
        const nom_qlist *fulls = nom_ask_list(b->ask, a->name.start, a->name.end, NOM_T_WORD);
        if (fulls) {
            if (rows_of(fulls) < 80000) {
                nom_plan by_full = plan;
                by_full.name_any = tokens_in(b, fulls);
                by_full.address_all = tokens_of(b, address);
                put(b, a, by_full, further);
                further += 0.2;
            }
        }
        further += 0.4;
        by_name = words_for(name, 50000, 10);
        by_address = words_for(address, 30000, 5);
    }
    bool known = (by_name > 0 && (by_address < 0 || name->counts[0] <= address->counts[0])) ||
                 by_address > 0;
    if (!known) {
        if (name->count <= 1)
            return;
        further += 0.5;
        double rows = name->counts[0] < address->counts[0] ? name->counts[0] : address->counts[0];
        rows /= (name->count < 3 ? name->count : 3) + (address->count < 3 ? address->count : 3);
        if (rows >= 50000)
            return;
    }
    plan.name_all = tokens_of(b, name);
    plan.address_all = tokens_of(b, address);
    put(b, a, plan, further);
}

static void put_name(builder *b, const nom_assignment *a, nom_plan plan)
{
    const nom_details *d = &b->run->details;
    if (!plan.near.count && plan.numbers.count &&
        !(d->rank_max >= 30 && has_layer(b, NOM_LAYER_ADDRESS)))
        return;
    nom_ranking r = name_ranking(b, a->name);
    double further = normalise(&r);
    if (r.count)
        plan.rankings[plan.ranking_count++] = r;
    plan.kind = plan.numbers.count ? NOM_PLAN_ADDRESS : NOM_PLAN_PLACE;
    plan.has_address = a->address_count > 0;
    counted name = {.count = 0}, address = {.count = 0};
    count_range(b->ask, a->name, false, &name);
    for (uint32_t i = 0; i < a->address_count; i++)
        count_range(b->ask, a->address[i], true, &address);
    if (name.count == 0)
        return;
    if (address.count == 0)
        put_name_only(b, a, plan, &name, further);
    else
        put_with_address(b, a, plan, &name, &address, further);
}

/* A house whose number is its name: its address says more than its street's. */
static void put_number(builder *b, const nom_assignment *a, nom_plan plan)
{
    const nom_qlist *numbers = nom_ask_list(b->ask, a->number.start, a->number.end, NOM_T_NUMBER);
    counted address = {.count = 0};
    for (uint32_t i = 0; i < a->address_count; i++)
        count_range(b->ask, a->address[i], true, &address);
    if (address.count == 0)
        return;
    plan.kind = NOM_PLAN_PLACE;
    plan.has_address = true;
    plan.numbers = (nom_choices){0};
    if (rows_of(numbers) < NUMBER_COUNT_MAX) {
        plan.name_any = tokens_in(b, numbers);
        plan.address_all = tokens_of(b, &address);
    } else if (words_for(&address, 20000, 5) > 0) {
        plan.name_all = tokens_in(b, numbers);
        plan.address_all = tokens_of(b, &address);
    } else {
        const nom_qlist *fulls =
            nom_ask_list(b->ask, a->address[0].start, a->address[0].end, NOM_T_WORD);
        if (fulls && fulls->count > FULLS_MAX)
            return;
        plan.name_any = tokens_in(b, numbers);
        plan.address_any = tokens_in(b, fulls);
        if (plan.address_any.count == 0)
            return;
    }
    put(b, a, plan, 0);
}

static void put_special(builder *b, const nom_assignment *a, nom_plan plan)
{
    const nom_details *d = &b->run->details;
    if (plan.qualifiers.count)
        return;
    if (plan.countries.count && a->address_count == 0 && plan.postcodes.count == 0 &&
        d->rank_min <= 4 && d->rank_max >= 4 && has_layer(b, NOM_LAYER_ADDRESS)) {
        nom_plan country = plan;
        country.kind = NOM_PLAN_COUNTRY;
        put(b, a, country, 0);
    }
    bool wanted = d->rank_min <= 5 && d->rank_max >= 11 && has_layer(b, NOM_LAYER_ADDRESS);
    if (plan.postcodes.count && (plan.near.count || wanted)) {
        counted address = {.count = 0};
        for (uint32_t i = 0; i < a->address_count; i++)
            count_range(b->ask, a->address[i], true, &address);
        plan.address_all = tokens_of(b, &address);
        plan.kind = NOM_PLAN_POSTCODE;
        put(b, a, plan, plan.countries.count ? 0 : 0.1);
    }
}

static bool build(void *context, const nom_assignment *a)
{
    builder *b = context;
    const nom_details *d = &b->run->details;
    nom_plan plan = {0};
    if (!set_data(b, a, &plan))
        return !b->run->failed;
    if (nom_is_range(a->near)) {
        plan.near = categories_of(b, nom_ask_list(b->ask, a->near.start, a->near.end, NOM_T_NEAR));
        if (plan.near.count == 0)
            return true;
    }
    bool poi = !nom_is_range(a->name) && plan.near.count && plan.postcodes.count == 0;
    if (plan.near.count && !poi) {
        plan.near_penalty = least_of(&plan.near);
        for (uint32_t i = 0; i < plan.near.count; i++)
            plan.near.items[i].penalty -= plan.near_penalty;
    }
    if (nom_is_range(a->name)) {
        put_name(b, a, plan);
    } else if (poi) {
        plan.qualifiers = plan.near;
        plan.near = (nom_choices){0};
        plan.kind = NOM_PLAN_POI;
        if (plan.numbers.count == 0 && ((d->has_viewbox && d->bounded) || d->has_near))
            put(b, a, plan, 0);
    } else if (nom_is_range(a->number)) {
        put_number(b, a, plan);
    } else {
        put_special(b, a, plan);
    }
    return !b->run->failed && b->count < NOM_PLANS_MADE_MAX;
}

/* Countries first, then places, then postcodes and categories; else as they were made. */
static int by_cost(const void *a, const void *b)
{
    const nom_plan *x = a, *y = b;
    double p = x->near.count ? x->near_penalty : x->penalty;
    double q = y->near.count ? y->near_penalty : y->penalty;
    if (p != q)
        return p < q ? -1 : 1;
    static const int FIRST[] = {[NOM_PLAN_COUNTRY] = 0,
                                [NOM_PLAN_PLACE] = 1,
                                [NOM_PLAN_ADDRESS] = 1,
                                [NOM_PLAN_POSTCODE] = 2,
                                [NOM_PLAN_POI] = 2};
    int i = x->near.count ? 2 : FIRST[x->kind], k = y->near.count ? 2 : FIRST[y->kind];
    if (i != k)
        return i - k;
    return x->order < y->order ? -1 : 1;
}

sx_status nom_plans_build(nom_run *run, nom_plan **plans, uint32_t *count)
{
    nom_searcher *s = run->s;
    builder *b = sx_arena_calloc(&s->arena, 1, sizeof(*b));
    part_ways *ways = sx_arena_alloc(&s->arena, sizeof(*ways));
    if (!b || !ways)
        return sx_fail_memory(run->err, "the ways to read a query");
    b->run = run;
    b->ask = &s->ask;
    b->arena = &s->arena;
    b->ways = ways;
    if (s->ask.node_count > 1)
        nom_ask_assign(&s->ask, build, b);
    if (run->failed || s->ask.failed)
        return sx_fail_memory(run->err, "the ways to read a query");
    if (b->count)
        qsort(b->plans, b->count, sizeof(nom_plan), by_cost);
    *plans = b->plans;
    *count = b->count < NOM_PLANS_MAX ? (uint32_t)b->count : NOM_PLANS_MAX;
    return SX_OK;
}
