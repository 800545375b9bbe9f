/* postings.c - sorted id lists; see postings.h. */
#include "observe/tsdb/postings.h"

#include <string.h>

enum { BLOCK_IDS = 256, DIRECTORY_LEAST = 4, BLOCKS_MAX = 65535 };

typedef struct block_entry {
    uint32_t first; /* the least id of the block */
    tsdb_handle at; /* room for BLOCK_IDS ids */
    uint32_t count;
} block_entry;

/* The first place in `ids` that is not less than `id`. */
static uint32_t lower_bound(const uint32_t *ids, uint32_t count, uint32_t id)
{
    uint32_t from = 0;
    while (count > 0) {
        uint32_t half = count / 2;
        if (ids[from + half] < id) {
            from += half + 1;
            count -= half + 1;
        } else {
            count = half;
        }
    }
    return from;
}

/* The block that `id` is in or would be put in. */
static uint32_t block_of(const block_entry *dir, uint32_t blocks, uint32_t id)
{
    uint32_t from = 0, count = blocks;
    while (count > 1) {
        uint32_t half = count / 2;
        if (dir[from + half].first <= id)
            from += half;
        count -= half;
    }
    return from;
}

static void insert_at(uint32_t *ids, uint32_t count, uint32_t where, uint32_t id)
{
    memmove(ids + where + 1, ids + where, (count - where) * sizeof *ids);
    ids[where] = id;
}

static bool add_plain(tsdb_region *r, tsdb_postings *p, uint32_t id)
{
    size_t need = (p->count + 1) * sizeof id, have = p->count * sizeof id;
    if (!p->at || tsdb_region_size(have) < need) {
        tsdb_handle grown = tsdb_region_alloc(r, need);
        if (!grown)
            return false;
        if (p->at)
            memcpy(tsdb_region_at(r, grown), tsdb_region_at(r, p->at), have);
        tsdb_region_free(r, p->at, have);
        p->at = grown;
    }
    uint32_t *ids = tsdb_region_at(r, p->at);
    insert_at(ids, p->count, lower_bound(ids, p->count, id), id);
    p->count++;
    return true;
}

/* A full plain array becomes the first block. */
static bool become_blocks(tsdb_region *r, tsdb_postings *p)
{
    tsdb_handle at = tsdb_region_alloc(r, DIRECTORY_LEAST * sizeof(block_entry));
    if (!at)
        return false;
    block_entry *dir = tsdb_region_at(r, at);
    dir[0] = (block_entry){*(uint32_t *)tsdb_region_at(r, p->at), p->at, p->count};
    p->at = at;
    p->blocks = 1;
    p->cap = DIRECTORY_LEAST;
    return true;
}

static bool grow_directory(tsdb_region *r, tsdb_postings *p)
{
    if (p->blocks < p->cap)
        return true;
    uint32_t cap = p->cap + p->cap / 2u;
    if (cap > BLOCKS_MAX)
        cap = BLOCKS_MAX;
    if (cap == p->cap)
        return false;
    tsdb_handle at = tsdb_region_alloc(r, cap * sizeof(block_entry));
    if (!at)
        return false;
    memcpy(tsdb_region_at(r, at), tsdb_region_at(r, p->at), p->blocks * sizeof(block_entry));
    tsdb_region_free(r, p->at, p->cap * sizeof(block_entry));
    p->at = at;
    p->cap = (uint16_t)cap;
    return true;
}

/* Makes room behind block `b`: an empty block at the list's end, where ids are usually added, keeps
 * the full ones full; elsewhere the upper half moves. */
static bool split_block(tsdb_region *r, tsdb_postings *p, uint32_t b, uint32_t id)
{
    if (!grow_directory(r, p))
        return false;
    tsdb_handle at = tsdb_region_alloc(r, BLOCK_IDS * sizeof(uint32_t));
    if (!at)
        return false;
    block_entry *dir = tsdb_region_at(r, p->at);
    uint32_t *low = tsdb_region_at(r, dir[b].at), *high = tsdb_region_at(r, at);
    bool last = b + 1u == p->blocks && id > low[dir[b].count - 1];
    uint32_t keep = last ? dir[b].count : dir[b].count / 2, moved = dir[b].count - keep;
    memcpy(high, low + keep, moved * sizeof *high);
    memmove(dir + b + 2, dir + b + 1, (p->blocks - b - 1) * sizeof *dir);
    dir[b + 1] = (block_entry){moved ? high[0] : id, at, moved};
    dir[b].count = keep;
    p->blocks++;
    return true;
}

bool tsdb_postings_add(tsdb_region *r, tsdb_postings *p, uint32_t id)
{
    if (p->blocks == 0) {
        if (p->count < BLOCK_IDS)
            return add_plain(r, p, id);
        if (!become_blocks(r, p))
            return false;
    }
    block_entry *dir = tsdb_region_at(r, p->at);
    uint32_t b = block_of(dir, p->blocks, id);
    if (dir[b].count == BLOCK_IDS) {
        if (!split_block(r, p, b, id))
            return false;
        dir = tsdb_region_at(r, p->at);
        b = block_of(dir, p->blocks, id);
    }
    uint32_t *ids = tsdb_region_at(r, dir[b].at);
    insert_at(ids, dir[b].count, lower_bound(ids, dir[b].count, id), id);
    dir[b].count++;
    dir[b].first = ids[0];
    p->count++;
    return true;
}

void tsdb_postings_remove(tsdb_region *r, tsdb_postings *p, uint32_t id)
{
    if (p->blocks == 0) {
        uint32_t *ids = tsdb_region_at(r, p->at), where = lower_bound(ids, p->count, id);
        sx_assert(where < p->count && ids[where] == id);
        size_t had = p->count * sizeof id;
        memmove(ids + where, ids + where + 1, (p->count - where - 1) * sizeof id);
        p->count--;
        /* A block's size is told by the count: one class less is another block. Without memory for
         * that one, this counts as the smaller from now on, and its end is lost. */
        size_t has = p->count * sizeof id;
        tsdb_handle at = 0;
        if (p->count && tsdb_region_size(has) == tsdb_region_size(had))
            return;
        if (p->count)
            at = tsdb_region_alloc(r, has);
        if (p->count && !at)
            return;
        if (at)
            memcpy(tsdb_region_at(r, at), ids, has);
        tsdb_region_free(r, p->at, had);
        p->at = at;
        return;
    }
    block_entry *dir = tsdb_region_at(r, p->at);
    uint32_t b = block_of(dir, p->blocks, id);
    uint32_t *ids = tsdb_region_at(r, dir[b].at);
    uint32_t where = lower_bound(ids, dir[b].count, id);
    sx_assert(where < dir[b].count && ids[where] == id);
    memmove(ids + where, ids + where + 1, (dir[b].count - where - 1) * sizeof id);
    p->count--;
    if (--dir[b].count > 0) {
        dir[b].first = ids[0];
        return;
    }
    tsdb_region_free(r, dir[b].at, BLOCK_IDS * sizeof(uint32_t));
    memmove(dir + b, dir + b + 1, (p->blocks - b - 1) * sizeof *dir);
    if (--p->blocks == 0) {
        tsdb_region_free(r, p->at, p->cap * sizeof *dir);
        *p = (tsdb_postings){0};
    }
}

void tsdb_postings_done(tsdb_region *r, tsdb_postings *p)
{
    if (p->blocks == 0) {
        tsdb_region_free(r, p->at, p->count * sizeof(uint32_t));
    } else {
        const block_entry *dir = tsdb_region_at(r, p->at);
        for (uint32_t b = 0; b < p->blocks; b++)
            tsdb_region_free(r, dir[b].at, BLOCK_IDS * sizeof(uint32_t));
        tsdb_region_free(r, p->at, p->cap * sizeof(block_entry));
    }
    *p = (tsdb_postings){0};
}

void tsdb_postings_copy(const tsdb_region *r, const tsdb_postings *p, uint32_t *out)
{
    if (p->count == 0)
        return;
    if (p->blocks == 0) {
        memcpy(out, tsdb_region_at(r, p->at), p->count * sizeof *out);
        return;
    }
    const block_entry *dir = tsdb_region_at(r, p->at);
    for (uint32_t b = 0; b < p->blocks; b++) {
        memcpy(out, tsdb_region_at(r, dir[b].at), dir[b].count * sizeof *out);
        out += dir[b].count;
    }
}

bool tsdb_postings_has(const tsdb_region *r, const tsdb_postings *p, uint32_t id, uint32_t *hint)
{
    if (p->count == 0)
        return false;
    const uint32_t *ids;
    uint32_t count = p->count, from = 0;
    if (p->blocks == 0) {
        ids = tsdb_region_at(r, p->at);
        from = *hint; /* questions rise: what lies before the last answer is done with */
    } else {
        const block_entry *dir = tsdb_region_at(r, p->at);
        uint32_t b = *hint < p->blocks ? *hint : 0;
        if (dir[b].first > id || (b + 1u < p->blocks && dir[b + 1].first <= id))
            b = block_of(dir, p->blocks, id);
        *hint = b;
        ids = tsdb_region_at(r, dir[b].at);
        count = dir[b].count;
    }
    uint32_t where = from + lower_bound(ids + from, count - from, id);
    if (p->blocks == 0)
        *hint = where < count ? where : count;
    return where < count && ids[where] == id;
}
