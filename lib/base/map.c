/* map.c - the open-addressing table behind sx_map and sx_map64.
 *
 * One block:   slots[cap] | tags[cap] | tags[0..7] again
 *
 * A tag is EMPTY, GONE, or the low 7 bits of the hash of the entry in its slot. A probe starts at
 * the slot that the other 57 bits name and looks at the 8 tags from there (the copy at the end lets
 * it run past the last slot), then 8 further on by 8, 16, 24 ..., which visits every group of a
 * table of a power of two. It ends at the first group with an EMPTY tag, because a put would have
 * used that slot. So a remove may write EMPTY only where no probe can have passed: where the slot
 * was never part of 8 full tags in a row; else it writes GONE, which a rebuild clears.
 *
 * The 8 tags are compared by arithmetic on one 64-bit word, the same on every processor. The code is
 * written once for both kinds of key: `is_text` is a constant in each caller, and everything that
 * takes it is inlined there. */
#include <sextant/map.h>

#include <endian.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

enum { GROUP = 8, TAG_EMPTY = 0x80, TAG_GONE = 0xfe, SLOTS_LEAST = 8 };

#define ALWAYS_INLINE static inline __attribute__((always_inline))

static const uint64_t LOW_BITS = 0x0101010101010101u;
static const uint64_t HIGH_BITS = 0x8080808080808080u;

/* The tags of every table that has no block yet: a find ends here without a special case. Never
 * written: the first put has no room and builds a block. */
static const uint8_t NO_TAGS[SLOTS_LEAST + GROUP] = {
    TAG_EMPTY, TAG_EMPTY, TAG_EMPTY, TAG_EMPTY, TAG_EMPTY, TAG_EMPTY, TAG_EMPTY, TAG_EMPTY,
    TAG_EMPTY, TAG_EMPTY, TAG_EMPTY, TAG_EMPTY, TAG_EMPTY, TAG_EMPTY, TAG_EMPTY, TAG_EMPTY,
};

static void init(sx_table *t, sx_arena *arena, uint64_t seed)
{
    *t = (sx_table){
        .tags = (uint8_t *)(uintptr_t)NO_TAGS,
        .mask = SLOTS_LEAST - 1,
        .seed = seed,
        .arena = arena,
    };
}

static uint64_t load_group(const sx_table *t, size_t at)
{
    uint64_t group;
    memcpy(&group, t->tags + at, sizeof(group));
    return le64toh(group);
}

/* One high bit for each tag of the group that is EMPTY (bit 7 set, bit 1 not). */
static uint64_t group_empty(uint64_t group)
{
    return group & (~group << 6) & HIGH_BITS;
}

static uint64_t group_not_full(uint64_t group)
{
    return group & HIGH_BITS;
}

/* One high bit for each tag equal to `tag`; rarely one too many, above a right one: the comparison
 * of keys sorts it out. */
static uint64_t group_match(uint64_t group, uint8_t tag)
{
    uint64_t differ = group ^ (LOW_BITS * tag);
    return (differ - LOW_BITS) & ~differ & HIGH_BITS;
}

static size_t first_of(uint64_t bits)
{
    return (size_t)__builtin_ctzll(bits) / 8;
}

static void set_tag(sx_table *t, size_t at, uint8_t tag)
{
    t->tags[at] = tag;
    t->tags[((at - GROUP) & t->mask) + GROUP] = tag; /* the copy, or the same place again */
}

ALWAYS_INLINE size_t stride_of(bool is_text)
{
    return is_text ? sizeof(sx_map_entry) : sizeof(sx_map64_entry);
}

ALWAYS_INLINE void *slot_at(const sx_table *t, bool is_text, size_t at)
{
    return (char *)t->slots + at * stride_of(is_text);
}

/* `key` is a const sx_str * or a const uint64_t *; both stand first in their entry. */
ALWAYS_INLINE uint64_t hash_of(const sx_table *t, bool is_text, const void *key)
{
    if (is_text)
        return sx_hash(*(const sx_str *)key, t->seed);
    return sx_hash_u64(*(const uint64_t *)key, t->seed);
}

ALWAYS_INLINE bool same_key(bool is_text, const void *a, const void *b)
{
    if (is_text)
        return sx_str_eq(*(const sx_str *)a, *(const sx_str *)b);
    return *(const uint64_t *)a == *(const uint64_t *)b;
}

/* HOT */
ALWAYS_INLINE void *find(const sx_table *t, bool is_text, const void *key, uint64_t hash)
{
    uint8_t tag = hash & 0x7f;
    size_t at = (size_t)(hash >> 7) & t->mask;
    for (size_t step = GROUP;; step += GROUP) {
        uint64_t group = load_group(t, at);
        for (uint64_t bits = group_match(group, tag); bits; bits &= bits - 1) {
            void *slot = slot_at(t, is_text, (at + first_of(bits)) & t->mask);
            if (sx_likely(same_key(is_text, slot, key)))
                return slot;
        }
        if (sx_likely(group_empty(group)))
            return NULL;
        at = (at + step) & t->mask;
    }
}

/* The first slot on the probe's way that holds nothing; there always is one. */
static size_t free_slot(const sx_table *t, uint64_t hash)
{
    size_t at = (size_t)(hash >> 7) & t->mask;
    for (size_t step = GROUP;; step += GROUP) {
        uint64_t bits = group_not_full(load_group(t, at));
        if (bits)
            return (at + first_of(bits)) & t->mask;
        at = (at + step) & t->mask;
    }
}

/* How many entries fill a table: seven eighths, so a probe soon meets an EMPTY. */
static size_t full_at(size_t slots)
{
    return slots - slots / 8;
}

ALWAYS_INLINE size_t next_full(const sx_table *t, size_t at)
{
    while (at <= t->mask && (t->tags[at] & 0x80))
        at++;
    return at;
}

/* Moves all entries to a new block of `slots`. False, nothing changed, if there is no memory. */
ALWAYS_INLINE bool rebuild(sx_table *t, bool is_text, size_t slots)
{
    size_t slot_bytes, bytes;
    if (__builtin_mul_overflow(slots, stride_of(is_text), &slot_bytes) ||
        __builtin_add_overflow(slot_bytes, slots + GROUP, &bytes))
        return false;
    char *block = t->arena ? sx_arena_alloc(t->arena, bytes) : sx_alloc(bytes);
    if (!block)
        return false;
    sx_table old = *t;
    t->slots = block;
    t->tags = (uint8_t *)block + slot_bytes;
    t->mask = slots - 1;
    t->room = full_at(slots) - t->count;
    memset(t->tags, TAG_EMPTY, slots + GROUP);
    if (!old.slots)
        return true;
    for (size_t at = 0; (at = next_full(&old, at)) <= old.mask; at++) {
        const void *entry = slot_at(&old, is_text, at);
        uint64_t hash = hash_of(t, is_text, entry);
        size_t to = free_slot(t, hash);
        set_tag(t, to, hash & 0x7f);
        memcpy(slot_at(t, is_text, to), entry, stride_of(is_text));
    }
    if (!old.arena)
        sx_free(old.slots);
    return true;
}

/* Makes room for `count` entries in all. */
ALWAYS_INLINE bool reserve(sx_table *t, bool is_text, size_t count)
{
    if (count <= t->count || count - t->count <= t->room)
        return true;
    size_t slots = SLOTS_LEAST;
    while (full_at(slots) < count) {
        if (__builtin_mul_overflow(slots, 2u, &slots))
            return false;
    }
    if (t->slots && slots < t->mask + 1)
        slots = t->mask + 1;
    return rebuild(t, is_text, slots);
}

/* Called when a put has used the last fresh slot: doubles, or, if most of the slots hold only GONE,
 * builds the same size anew. */
ALWAYS_INLINE bool make_room(sx_table *t, bool is_text)
{
    if (!t->slots)
        return rebuild(t, is_text, SLOTS_LEAST);
    size_t slots = t->mask + 1;
    if (t->count >= full_at(slots) / 2 && __builtin_mul_overflow(slots, 2u, &slots))
        return false;
    return rebuild(t, is_text, slots);
}

ALWAYS_INLINE void *put(sx_table *t, bool is_text, const void *key, bool *added)
{
    uint64_t hash = hash_of(t, is_text, key);
    void *slot = find(t, is_text, key, hash);
    if (added)
        *added = !slot;
    if (slot)
        return slot;
    size_t at = free_slot(t, hash);
    if (t->room == 0 && t->tags[at] == TAG_EMPTY) {
        if (!make_room(t, is_text)) {
            if (added)
                *added = false;
            return NULL;
        }
        at = free_slot(t, hash);
    }
    t->room -= t->tags[at] == TAG_EMPTY;
    set_tag(t, at, hash & 0x7f);
    t->count++;
    slot = slot_at(t, is_text, at);
    memset(slot, 0, stride_of(is_text));
    memcpy(slot, key, is_text ? sizeof(sx_str) : sizeof(uint64_t));
    return slot;
}

ALWAYS_INLINE bool take_out(sx_table *t, bool is_text, const void *key)
{
    char *slot = find(t, is_text, key, hash_of(t, is_text, key));
    if (!slot)
        return false;
    size_t at = (size_t)(slot - (char *)t->slots) / stride_of(is_text);
    uint64_t after = group_empty(load_group(t, at));
    uint64_t before = group_empty(load_group(t, (at - GROUP) & t->mask));
    /* Tags in a row around `at` that are not EMPTY: fewer than 8, and no group that covers it can
     * ever have been full, so no probe went past. */
    bool never_passed =
        before && after && first_of(after) + (size_t)__builtin_clzll(before) / 8 < GROUP;
    set_tag(t, at, never_passed ? TAG_EMPTY : TAG_GONE);
    t->room += never_passed;
    t->count--;
    return true;
}

ALWAYS_INLINE void *next(const sx_table *t, bool is_text, size_t *cursor)
{
    size_t at = next_full(t, *cursor);
    if (at > t->mask)
        return NULL;
    *cursor = at + 1;
    return slot_at(t, is_text, at);
}

static void done(sx_table *t)
{
    if (!t->arena)
        sx_free(t->slots);
    init(t, t->arena, t->seed);
}

static void clear(sx_table *t)
{
    if (!t->slots)
        return;
    memset(t->tags, TAG_EMPTY, t->mask + 1 + GROUP);
    t->count = 0;
    t->room = full_at(t->mask + 1);
}

ALWAYS_INLINE bool check(const sx_table *t, bool is_text)
{
    size_t full = 0, used = 0, slots = t->mask + 1;
    sx_assert((slots & t->mask) == 0 && slots >= SLOTS_LEAST);
    for (size_t at = 0; at < slots; at++) {
        uint8_t tag = t->tags[at];
        used += tag != TAG_EMPTY;
        if (at < GROUP)
            sx_assert(t->tags[slots + at] == tag);
        if (tag & 0x80) {
            sx_assert(tag == TAG_EMPTY || tag == TAG_GONE);
            continue;
        }
        full++;
        const void *slot = slot_at(t, is_text, at);
        uint64_t hash = hash_of(t, is_text, slot);
        sx_assert((hash & 0x7f) == tag);
        sx_assert(find(t, is_text, slot, hash) == slot);
    }
    sx_assert(full == t->count);
    sx_assert(used + t->room == (t->slots ? full_at(slots) : 0));
    return true;
}

/* A whole check costs as much as the table is long, so debug builds make it after every change only
 * while the table is small, then at every power of two. */
#define CHECK_TABLE(m, check_it)                                                                   \
    SX_DEBUG_CHECK(                                                                                \
        ((m)->table.count & ((m)->table.count - 1)) && (m)->table.count > 64 ? true : check_it(m))

void sx_map_init(sx_map *m, sx_arena *arena)
{
    init(&m->table, arena, sx_hash_seed());
}

void sx_map64_init(sx_map64 *m, sx_arena *arena)
{
    init(&m->table, arena, sx_hash_seed());
}

void sx_map_done(sx_map *m)
{
    done(&m->table);
}

void sx_map64_done(sx_map64 *m)
{
    done(&m->table);
}

void sx_map_clear(sx_map *m)
{
    clear(&m->table);
}

void sx_map64_clear(sx_map64 *m)
{
    clear(&m->table);
}

bool sx_map_reserve(sx_map *m, size_t count)
{
    bool ok = reserve(&m->table, true, count);
    SX_DEBUG_CHECK(sx_map_check(m));
    return ok;
}

bool sx_map64_reserve(sx_map64 *m, size_t count)
{
    bool ok = reserve(&m->table, false, count);
    SX_DEBUG_CHECK(sx_map64_check(m));
    return ok;
}

sx_map_entry *sx_map_find(const sx_map *m, sx_str key)
{
    return find(&m->table, true, &key, hash_of(&m->table, true, &key));
}

sx_map64_entry *sx_map64_find(const sx_map64 *m, uint64_t key)
{
    return find(&m->table, false, &key, hash_of(&m->table, false, &key));
}

sx_map_entry *sx_map_put(sx_map *m, sx_str key, bool *added)
{
    sx_map_entry *e = put(&m->table, true, &key, added);
    CHECK_TABLE(m, sx_map_check);
    return e;
}

sx_map64_entry *sx_map64_put(sx_map64 *m, uint64_t key, bool *added)
{
    sx_map64_entry *e = put(&m->table, false, &key, added);
    CHECK_TABLE(m, sx_map64_check);
    return e;
}

bool sx_map_remove(sx_map *m, sx_str key)
{
    bool found = take_out(&m->table, true, &key);
    CHECK_TABLE(m, sx_map_check);
    return found;
}

bool sx_map64_remove(sx_map64 *m, uint64_t key)
{
    bool found = take_out(&m->table, false, &key);
    CHECK_TABLE(m, sx_map64_check);
    return found;
}

sx_map_entry *sx_map_next(const sx_map *m, size_t *cursor)
{
    return next(&m->table, true, cursor);
}

sx_map64_entry *sx_map64_next(const sx_map64 *m, size_t *cursor)
{
    return next(&m->table, false, cursor);
}

bool sx_map_check(const sx_map *m)
{
    return check(&m->table, true);
}

bool sx_map64_check(const sx_map64 *m)
{
    return check(&m->table, false);
}
