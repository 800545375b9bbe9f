/* tsdb_analyze.c - `sextant tsdb analyze`: what a block's series are made of, in promtool's tables.
 *
 * One walk over the block's index counts every label pair and how much of the block's time its series
 * do not cover (churn); the tables are those counts, sorted. Equal counts are in the order of their
 * names (promtool: in any). */
#include "observe/tsdb/block.h"

#include <stdio.h>
#include <stdlib.h>

#include <sextant/map.h>
#include <sextant/mem.h>

#include "cmd/command.h"
#include "observe/promql/parse.h"
#include "observe/tsdb/db.h"

/* A label pair, or with value_ref 0 and `is_name` a label name. */
typedef struct counted {
    uint32_t name, value; /* references to symbols */
    uint64_t uncovered, series;
    uint64_t values, bytes; /* of a name: its values, and their lengths added up */
} counted;

typedef struct tally {
    sx_map64 at; /* of an index in items, by name and value */
    counted *items;
    size_t count, cap;
} tally;

typedef struct analysis {
    tsdb_block *block;
    tally pairs, names;
    uint64_t entries;
    sx_arena arena; /* of ids and printed rows */
    promql_parsed selector;
    bool selects;
    uint32_t *ids;
    size_t id_count;
    uint64_t limit;
} analysis;

static counted *tally_of(tally *t, uint32_t name, uint32_t value)
{
    uint64_t key = (uint64_t)name << 32 | value;
    sx_map64_entry *e = sx_map64_find(&t->at, key);
    if (e)
        return &t->items[e->u64];
    if (!sx_grow(&t->items, &t->cap, t->count + 1, sizeof *t->items))
        return NULL;
    e = sx_map64_put(&t->at, key, NULL);
    if (!e)
        return NULL;
    e->u64 = t->count;
    t->items[t->count] = (counted){.name = name, .value = value};
    return &t->items[t->count++];
}

static void tally_done(tally *t)
{
    sx_map64_done(&t->at);
    sx_free(t->items);
}

static sx_str symbol(const analysis *a, uint32_t ref)
{
    sx_str text = SX_STR("");
    (void)tsdb_index_symbol(&a->block->index, ref, &text);
    return text;
}

static sx_status count_series(analysis *a, const tsdb_series_room *room, sx_error *err)
{
    const tsdb_block_meta *m = &a->block->meta;
    uint64_t covered = room->chunk_count ? (uint64_t)room->chunks[room->chunk_count - 1].max_t -
                                               (uint64_t)room->chunks[0].min_t
                                         : 0;
    uint64_t uncovered = (uint64_t)(m->max_t - m->min_t) - covered;
    for (size_t i = 0; i < room->pair_count; i++) {
        uint32_t name_ref = room->pairs[2 * i], value_ref = room->pairs[2 * i + 1];
        counted *name = tally_of(&a->names, name_ref, 0);
        counted *pair = name ? tally_of(&a->pairs, name_ref, value_ref) : NULL;
        if (!pair)
            return sx_fail_memory(err, "an analysis");
        if (!pair->series) {
            name->values++;
            name->bytes += symbol(a, value_ref).len;
        }
        pair->uncovered += uncovered;
        name->uncovered += uncovered;
        pair->series++;
        a->entries++;
    }
    return SX_OK;
}

static sx_status walk_series(analysis *a, sx_error *err)
{
    tsdb_series_room room = {0};
    const promql_expr *e = a->selector.expr;
    sx_status st = tsdb_block_match(a->block, e->selector.matchers, e->selector.matcher_count,
                                    &a->arena, &a->ids, &a->id_count, NULL, err);
    for (size_t i = 0; st == SX_OK && i < a->id_count; i++) {
        st = tsdb_index_series(&a->block->index, a->ids[i], true, &room, err);
        if (st == SX_OK)
            st = count_series(a, &room, err);
    }
    tsdb_series_room_done(&room);
    return st;
}

/* ---- the tables ---- */

typedef struct line {
    uint64_t number;
    sx_str name, value; /* value.data NULL: a name alone */
} line;

static int by_number(const void *a, const void *b)
{
    const line *x = a, *y = b;
    if (x->number != y->number)
        return x->number < y->number ? 1 : -1;
    int names = sx_str_cmp(x->name, y->name);
    return names ? names : sx_str_cmp(x->value, y->value);
}

enum { COVERAGE, SERIES, BYTES, VALUES };

static uint64_t number_of(const analysis *a, const counted *c, int what)
{
    const tsdb_block_meta *m = &a->block->meta;
    if (what == COVERAGE)
        return (uint64_t)((double)c->uncovered / (double)(m->max_t - m->min_t));
    return what == SERIES ? c->series : what == BYTES ? c->bytes : c->values;
}

/* `of`: metric names alone, by their values. */
static sx_status print_table(const analysis *a, const char *title, const tally *t, int what,
                             sx_str of, sx_error *err)
{
    line *lines = sx_calloc(t->count + 1, sizeof *lines);
    size_t count = 0;
    if (!lines)
        return sx_fail_memory(err, "a table");
    for (size_t i = 0; i < t->count; i++) {
        const counted *c = &t->items[i];
        sx_str name = symbol(a, c->name);
        if (of.len && !sx_str_eq(name, of))
            continue;
        lines[count] = (line){.number = number_of(a, c, what), .name = name};
        if (t == &a->pairs)
            lines[count].value = symbol(a, c->value);
        if (of.len) {
            lines[count].name = lines[count].value;
            lines[count].value = (sx_str){0};
        }
        count++;
    }
    qsort(lines, count, sizeof *lines, by_number);
    printf("\n%s:\n", title);
    for (size_t i = 0; i < count && i < a->limit; i++)
        printf("%llu %.*s%s%.*s\n", (unsigned long long)lines[i].number, SX_ARG(lines[i].name),
               lines[i].value.data ? "=" : "", SX_ARG(lines[i].value));
    sx_free(lines);
    return SX_OK;
}

void cmd_go_duration(int64_t ms, char out[CMD_DURATION_BYTES])
{
    long long h = ms / 3600000, m = ms / 60000 % 60;
    double s = (double)(ms % 60000) / 1000;
    if (ms > 0 && ms < 1000)
        snprintf(out, CMD_DURATION_BYTES, "%lldms", (long long)ms);
    else if (h)
        snprintf(out, CMD_DURATION_BYTES, "%lldh%lldm%.10gs", h, m, s);
    else if (m)
        snprintf(out, CMD_DURATION_BYTES, "%lldm%.10gs", m, s);
    else
        snprintf(out, CMD_DURATION_BYTES, "%.10gs", s);
}

static sx_status print_all(const analysis *a, const char *match, sx_error *err)
{
    const tsdb_block_meta *m = &a->block->meta;
    const struct {
        const char *title;
        const tally *t;
        int what;
        sx_str of;
    } TABLES[] = {
        {"Label pairs most involved in churning", &a->pairs, COVERAGE, {0}},
        {"Label names most involved in churning", &a->names, COVERAGE, {0}},
        {"Most common label pairs", &a->pairs, SERIES, {0}},
        {"Label names with highest cumulative label value length", &a->names, BYTES, {0}},
        {"Highest cardinality labels", &a->names, VALUES, {0}},
        {"Highest cardinality metric names", &a->pairs, SERIES, TSDB_METRIC_NAME},
    };
    char duration[CMD_DURATION_BYTES];
    sx_status st = SX_OK;
    printf("Block ID: %s\n", m->ulid);
    cmd_go_duration(m->max_t - m->min_t, duration);
    printf("Duration: %s\n", duration);
    printf("Total Series: %llu\n", (unsigned long long)m->series);
    if (a->selects)
        printf("Matcher: %s\n", match);
    printf("Label names: %zu\n", a->names.count);
    if (a->selects)
        printf("Matched series: %zu\n", a->id_count);
    printf("Postings (unique label pairs): %zu\n", a->pairs.count);
    printf("Postings entries (total label pairs): %llu\n", (unsigned long long)a->entries);
    for (size_t i = 0; i < SX_COUNT_OF(TABLES) && st == SX_OK; i++)
        st = print_table(a, TABLES[i].title, TABLES[i].t, TABLES[i].what, TABLES[i].of, err);
    return st;
}

/* The block of that name, or the last. */
static sx_status find_block(analysis *a, const char *dir, const char *wanted, sx_error *err)
{
    tsdb *db = NULL;
    tsdb_block_info *blocks = NULL;
    size_t count = 0, at = 0;
    char path[4096];
    sx_file_info info;
    sx_status st = sx_file_stat(dir, &info, err);
    if (st == SX_OK)
        st = tsdb_open(dir, &(tsdb_options){.read_only = true}, &db, err);
    if (st == SX_OK)
        st = tsdb_blocks(db, &a->arena, &blocks, &count, err);
    if (st == SX_OK)
        for (at = wanted ? 0 : count - 1; wanted && at < count; at++)
            if (sx_str_eq(sx_str_z(blocks[at].ulid), sx_str_z(wanted)))
                break;
    if (st == SX_OK && !count)
        st = sx_fail(err, SX_ENOTFOUND, "%s: no blocks found", dir);
    else if (st == SX_OK && at >= count)
        st = sx_fail(err, SX_ENOTFOUND, "%s: block %s not found; 'sextant tsdb list' names them",
                     dir, wanted);
    if (st == SX_OK &&
        snprintf(path, sizeof path, "%s/%s", dir, blocks[at].ulid) >= (int)sizeof path)
        st = sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
    if (st == SX_OK)
        st = tsdb_block_open(path, &a->block, err);
    if (db)
        tsdb_close(db);
    return st;
}

int cmd_tsdb_analyze(const cmd_args *args)
{
    const char *match = cmd_value(args, "match"), *limit = cmd_value(args, "limit");
    analysis a = {.selects = match != NULL};
    sx_error err = {0};
    sx_status st = SX_OK;
    sx_arena_init(&a.arena, 0, 0);
    sx_map64_init(&a.pairs.at, NULL);
    sx_map64_init(&a.names.at, NULL);
    if (!sx_str_to_u64(sx_str_z(limit), &a.limit))
        st = sx_fail(&err, SX_EINVAL, "--limit %s is no number", limit);
    if (st == SX_OK)
        st = promql_parse_selector(match ? sx_str_z(match) : SX_STR("{__name__=~\".*\"}"), &a.arena,
                                   &a.selector, &err);
    if (st == SX_OK)
        st = find_block(&a, args->rest_count ? args->rest[0] : "data/",
                        args->rest_count > 1 ? args->rest[1] : NULL, &err);
    if (st == SX_OK)
        st = tsdb_index_load(&a.block->index, &err);
    if (st == SX_OK)
        st = walk_series(&a, &err);
    if (st == SX_OK)
        st = print_all(&a, match, &err);
    if (a.block)
        tsdb_block_unref(a.block);
    promql_parsed_done(&a.selector);
    tally_done(&a.pairs);
    tally_done(&a.names);
    sx_arena_done(&a.arena);
    return st == SX_OK ? 0 : cmd_failed(&err);
}
