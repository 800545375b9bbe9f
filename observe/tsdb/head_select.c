/* head_select.c - the series that matchers select, shard by shard.
 *
 * One matcher leads: the one whose pairs have the fewest series. Its postings are walked, and the
 * other matchers filter: an equality by a search in its postings, anything else by the series' own
 * pair, judged once for each pair and remembered, so that an expression runs once a value and not
 * once a series. A matcher that passes an absent label can only filter. Without a leader every series
 * of the shard is looked at. */
#include <stdlib.h>

#include <sextant/mem.h>

#include "observe/tsdb/head.h"

enum { MATCHERS_MAX = 64, CANCEL_EVERY = 1024, NO_LEADER = -1, FETCH_AHEAD = 16 };

/* What is known of one matcher in one shard. */
typedef struct match_plan {
    const tsdb_matcher *matcher;
    bool passes_absent;
    bool listed;        /* `pairs` are all pairs that pass */
    tsdb_handle name;   /* 0: no series of the shard has the label */
    tsdb_handle *pairs; /* in the scratch arena */
    size_t pair_count, pair_cap;
    uint64_t series;  /* sum of the pairs' */
    uint32_t *judged; /* pair handles, the verdict beside each: open addressing, 0 empty */
    bool *verdicts;
    size_t judged_cap, judged_count;
    uint32_t hint;
} match_plan;

typedef struct select_context {
    tsdb_head *head;
    const tsdb_hints *hints;
    match_plan plans[MATCHERS_MAX];
    size_t count;
    sx_arena scratch; /* of one shard */
    sx_arena *arena;
    tsdb_selection *out;
    size_t cap;
    const _Atomic bool *canceled;
    size_t seen;
} select_context;

static bool list_pair(select_context *c, match_plan *p, const head_shard *s, tsdb_handle pair)
{
    if (!sx_arena_grow(&c->scratch, &p->pairs, &p->pair_cap, p->pair_count + 1, sizeof *p->pairs))
        return false;
    p->pairs[p->pair_count++] = pair;
    p->series += head_pair_at(s, pair)->series.count;
    return true;
}

/* What can be looked up: an equality, or an expression that is a list of literals. */
static bool list_literals(select_context *c, match_plan *p, const head_shard *s)
{
    const tsdb_matcher *m = p->matcher;
    sx_str one = m->value;
    const sx_str *literals = &one;
    size_t count = 1;
    if (m->kind == TSDB_MATCH_REGEX)
        literals = sx_regex_literals(m->regex, &count);
    else if (m->kind != TSDB_MATCH_EQUAL)
        return true;
    if (!literals)
        return true;
    p->listed = true;
    for (size_t i = 0; i < count; i++) {
        bool repeated = false;
        for (size_t k = 0; k < i && !repeated; k++)
            repeated = sx_str_eq(literals[i], literals[k]);
        tsdb_handle pair = repeated ? 0 : head_pair_find(s, m->name, literals[i]);
        if (pair && !list_pair(c, p, s, pair))
            return false;
    }
    return true;
}

static bool list_matching(select_context *c, match_plan *p, const head_shard *s)
{
    p->listed = true;
    if (!p->name)
        return true;
    for (tsdb_handle h = head_pair_at(s, p->name)->series.at; h; h = head_pair_at(s, h)->next) {
        const head_pair *pair = head_pair_at(s, h);
        if (pair->series.count && tsdb_matcher_matches(p->matcher, head_pair_text(pair)) &&
            !list_pair(c, p, s, h))
            return false;
    }
    return true;
}

/* Chooses the leader; *empty tells that nothing of the shard can match. */
static sx_status plan_shard(select_context *c, const head_shard *s, int *leader, bool *empty,
                            sx_error *err)
{
    *leader = NO_LEADER;
    *empty = false;
    for (size_t i = 0; i < c->count; i++) {
        match_plan *p = &c->plans[i];
        *p = (match_plan){.matcher = p->matcher, .passes_absent = p->passes_absent};
        p->name = head_pair_find(s, p->matcher->name, SX_STR(""));
        if (p->passes_absent)
            continue;
        if (!p->name) {
            *empty = true;
            return SX_OK;
        }
        if (!list_literals(c, p, s))
            return sx_fail_memory(err, "matching label values");
        if (p->listed && (*leader == NO_LEADER || p->series < c->plans[*leader].series))
            *leader = (int)i;
    }
    for (size_t i = 0; i < c->count; i++) {
        match_plan *p = &c->plans[i];
        if (p->passes_absent || p->listed)
            continue;
        /* Trying every value pays if that is less than judging the leader's series. */
        uint64_t values = head_pair_at(s, p->name)->series.count;
        if (*leader != NO_LEADER && c->plans[*leader].series <= values)
            continue;
        if (!list_matching(c, p, s))
            return sx_fail_memory(err, "matching label values");
        if (*leader == NO_LEADER || p->series < c->plans[*leader].series)
            *leader = (int)i;
    }
    *empty = *leader != NO_LEADER && c->plans[*leader].series == 0;
    return SX_OK;
}

static bool grow_judged(select_context *c, match_plan *p)
{
    size_t cap = p->judged_cap ? p->judged_cap * 2 : 64;
    uint32_t *judged = sx_arena_calloc(&c->scratch, cap, sizeof *judged);
    bool *verdicts = sx_arena_calloc(&c->scratch, cap, sizeof *verdicts);
    if (!judged || !verdicts)
        return false;
    for (size_t i = 0; i < p->judged_cap; i++) {
        if (!p->judged[i])
            continue;
        size_t at = (p->judged[i] * UINT32_C(2654435761)) & (cap - 1);
        while (judged[at])
            at = (at + 1) & (cap - 1);
        judged[at] = p->judged[i];
        verdicts[at] = p->verdicts[i];
    }
    p->judged = judged;
    p->verdicts = verdicts;
    p->judged_cap = cap;
    return true;
}

/* Whether a pair's value passes, asked of the matcher once. */
static bool judge(select_context *c, match_plan *p, const head_shard *s, tsdb_handle pair)
{
    if ((p->judged_count + 1) * 4 > p->judged_cap * 3 && !grow_judged(c, p))
        return tsdb_matcher_matches(p->matcher, head_pair_text(head_pair_at(s, pair)));
    size_t at = (pair * UINT32_C(2654435761)) & (p->judged_cap - 1);
    while (p->judged[at] && p->judged[at] != pair)
        at = (at + 1) & (p->judged_cap - 1);
    if (!p->judged[at]) {
        p->judged[at] = pair;
        p->verdicts[at] = tsdb_matcher_matches(p->matcher, head_pair_text(head_pair_at(s, pair)));
        p->judged_count++;
    }
    return p->verdicts[at];
}

static bool passes(select_context *c, match_plan *p, const head_shard *s, uint32_t id,
                   const head_series *series)
{
    if (p->listed && p->pair_count == 1)
        return tsdb_postings_has(&s->memory, &head_pair_at(s, p->pairs[0])->series, id, &p->hint);
    if (!p->name)
        return p->passes_absent;
    const tsdb_handle *pairs = tsdb_region_at(&s->memory, series->pairs);
    for (uint32_t i = 0; i < series->pair_count; i++)
        if (head_pair_at(s, pairs[i])->name == p->name)
            return judge(c, p, s, pairs[i]);
    return p->passes_absent;
}

static bool in_range(const head_shard *s, const head_series *series, const tsdb_hints *hints)
{
    if (series->extra)
        return true;
    if (series->x.t == INT64_MIN || series->x.t < hints->min_t)
        return false;
    if (hints->max_t >= s->max_t) /* the usual question: what it has begins before that */
        return true;
    if (series->full_count)
        return ((const head_full *)tsdb_region_at(&s->memory, series->full))->min_t <= hints->max_t;
    return !series->x.count || head_first_time(s, series) <= hints->max_t;
}

static sx_status emit(select_context *c, const head_shard *s, uint32_t id,
                      const head_series *series, sx_error *err)
{
    tsdb_selection *out = c->out;
    if (!sx_arena_grow(c->arena, &out->items, &c->cap, out->count + 1, sizeof *out->items))
        return sx_fail_memory(err, "selected series");
    tsdb_labels labels;
    sx_status status = head_labels_of(s, series, c->arena, &labels, err);
    if (status != SX_OK)
        return status;
    out->items[out->count++] = (tsdb_series){
        .labels = labels,
        .handle = {head_ref(c->head, s, id), 0},
    };
    return SX_OK;
}

/* Filters rising ids, and takes those that pass. */
static sx_status take_ids(select_context *c, const head_shard *s, const uint32_t *ids, size_t count,
                          int leader, sx_error *err)
{
    for (size_t k = 0; k < c->count; k++)
        c->plans[k].hint = 0;
    for (size_t i = 0; i < count; i++) {
        if (i + FETCH_AHEAD < count)
            __builtin_prefetch(head_series_at(s, ids[i + FETCH_AHEAD]));
        if (i + FETCH_AHEAD / 2 < count)
            __builtin_prefetch(
                tsdb_region_at(&s->memory, head_series_at(s, ids[i + FETCH_AHEAD / 2])->pairs));
        if (++c->seen % CANCEL_EVERY == 0 && c->canceled && *c->canceled)
            return sx_fail(err, SX_ECANCELED, "query was canceled");
        if (c->hints->series_max && c->out->count >= c->hints->series_max)
            return SX_OK;
        const head_series *series = head_series_at(s, ids[i]);
        bool good = (series->flags & HEAD_LIVE) && in_range(s, series, c->hints);
        for (size_t k = 0; k < c->count && good; k++)
            if ((int)k != leader)
                good = passes(c, &c->plans[k], s, ids[i], series);
        sx_status status = good ? emit(c, s, ids[i], series, err) : SX_OK;
        if (status != SX_OK)
            return status;
    }
    return SX_OK;
}

static sx_status select_all(select_context *c, const head_shard *s, sx_error *err)
{
    enum { STEP = 4096 };
    uint32_t ids[STEP];
    sx_status status = SX_OK;
    for (uint32_t id = 1; id <= s->ids && status == SX_OK;) {
        size_t n = 0;
        for (; n < STEP && id <= s->ids; id++)
            ids[n++] = id;
        status = take_ids(c, s, ids, n, NO_LEADER, err);
    }
    return status;
}

static sx_status select_shard(select_context *c, const head_shard *s, sx_error *err)
{
    int leader;
    bool empty;
    sx_status status = plan_shard(c, s, &leader, &empty, err);
    if (status != SX_OK || empty)
        return status;
    if (leader == NO_LEADER)
        return select_all(c, s, err);
    const match_plan *p = &c->plans[leader];
    uint32_t *ids = NULL;
    size_t cap = 0;
    for (size_t i = 0; i < p->pair_count && status == SX_OK; i++) {
        const tsdb_postings *postings = &head_pair_at(s, p->pairs[i])->series;
        if (!sx_arena_grow(&c->scratch, &ids, &cap, postings->count, sizeof *ids))
            return sx_fail_memory(err, "ids of selected series");
        tsdb_postings_copy(&s->memory, postings, ids);
        status = take_ids(c, s, ids, postings->count, leader, err);
    }
    return status;
}

sx_status tsdb_head_select(tsdb_head *h, const tsdb_hints *hints, const tsdb_matcher *matchers,
                           size_t count, sx_arena *arena, tsdb_selection *out,
                           const _Atomic bool *canceled, sx_error *err)
{
    if (count > MATCHERS_MAX)
        return sx_fail(err, SX_ELIMIT, "%zu matchers in one selector: at most %d", count,
                       MATCHERS_MAX);
    select_context *c = sx_calloc(1, sizeof *c);
    if (!c)
        return sx_fail_memory(err, "selection");
    *c = (select_context){.head = h,
                          .hints = hints,
                          .count = count,
                          .arena = arena,
                          .out = out,
                          .cap = out->count,
                          .canceled = canceled};
    for (size_t i = 0; i < count; i++)
        c->plans[i] = (match_plan){
            .matcher = &matchers[i],
            .passes_absent = tsdb_matcher_matches(&matchers[i], SX_STR("")),
        };
    sx_arena_init(&c->scratch, 0, 0);
    sx_status status = SX_OK;
    for (uint32_t i = 0; i <= h->shard_mask && status == SX_OK; i++) {
        head_shard *s = &h->shards[i];
        pthread_rwlock_rdlock(&s->lock);
        status = select_shard(c, s, err);
        pthread_rwlock_unlock(&s->lock);
        sx_arena_reset(&c->scratch);
    }
    sx_arena_done(&c->scratch);
    sx_free(c);
    return status;
}

/* --- Names and values, all of them. */

sx_status tsdb_head_names(tsdb_head *h, sx_arena *arena, sx_str **out, size_t *count, sx_error *err)
{
    size_t cap = *count;
    sx_status status = SX_OK;
    for (uint32_t i = 0; i <= h->shard_mask && status == SX_OK; i++) {
        head_shard *s = &h->shards[i];
        pthread_rwlock_rdlock(&s->lock);
        for (tsdb_handle at = s->names; at && status == SX_OK; at = head_pair_at(s, at)->next) {
            if (!sx_arena_grow(arena, out, &cap, *count + 1, sizeof **out))
                status = sx_fail_memory(err, "label names");
            else
                (*out)[(*count)++] = head_pair_text(head_pair_at(s, at));
        }
        pthread_rwlock_unlock(&s->lock);
    }
    return status;
}

sx_status tsdb_head_values(tsdb_head *h, sx_str name, sx_arena *arena, sx_str **out, size_t *count,
                           sx_error *err)
{
    size_t cap = *count;
    sx_status status = SX_OK;
    for (uint32_t i = 0; i <= h->shard_mask && status == SX_OK; i++) {
        head_shard *s = &h->shards[i];
        pthread_rwlock_rdlock(&s->lock);
        tsdb_handle of = head_pair_find(s, name, SX_STR(""));
        tsdb_handle at = of ? head_pair_at(s, of)->series.at : 0;
        for (; at && status == SX_OK; at = head_pair_at(s, at)->next) {
            if (head_pair_at(s, at)->series.count == 0)
                continue; /* its series have gone */
            if (!sx_arena_grow(arena, out, &cap, *count + 1, sizeof **out))
                status = sx_fail_memory(err, "label values");
            else
                (*out)[(*count)++] = head_pair_text(head_pair_at(s, at));
        }
        pthread_rwlock_unlock(&s->lock);
    }
    return status;
}

void tsdb_head_pairs(tsdb_head *h, tsdb_head_pair_visit *each, void *context)
{
    for (uint32_t i = 0; i <= h->shard_mask; i++) {
        head_shard *s = &h->shards[i];
        pthread_rwlock_rdlock(&s->lock);
        for (tsdb_handle name = s->names; name; name = head_pair_at(s, name)->next) {
            sx_str text = head_pair_text(head_pair_at(s, name));
            for (tsdb_handle at = head_pair_at(s, name)->series.at; at;
                 at = head_pair_at(s, at)->next)
                each(context, text, head_pair_text(head_pair_at(s, at)),
                     head_pair_at(s, at)->series.count);
        }
        pthread_rwlock_unlock(&s->lock);
    }
}

sx_status tsdb_head_each(tsdb_head *h, uint32_t shard, tsdb_head_visit *each, void *context,
                         sx_error *err)
{
    head_shard *s = &h->shards[shard];
    sx_arena arena;
    sx_arena_init(&arena, 0, 0);
    tsdb_head_reader reader;
    tsdb_head_enter(h, &reader);
    sx_status status = SX_OK;
    pthread_rwlock_rdlock(&s->lock);
    uint32_t ids = s->ids;
    pthread_rwlock_unlock(&s->lock);
    for (uint32_t id = 1; id <= ids && status == SX_OK; id++) {
        tsdb_labels labels;
        tsdb_ref ref = head_ref(h, s, id);
        if (!head_find(h, ref) || tsdb_head_labels(h, ref, &arena, &labels, NULL) != SX_OK)
            continue;
        status = each(context, ref, labels, err);
        sx_arena_reset(&arena);
    }
    tsdb_head_leave(h, &reader);
    sx_arena_done(&arena);
    return status;
}
