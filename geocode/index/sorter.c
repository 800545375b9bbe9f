/* sorter.c - see sorter.h. */
#include "geocode/index/sorter.h"

#include <sextant/mem.h>

enum {
    KEY_BYTES = 16,
    SMALL = 48,           /* records that are sorted by insertion */
    READ_RECORDS_MIN = 64 /* of a run, while merging */
};

/* A sorted stretch of the file, and the part of it in memory. */
struct geo_sort_run {
    uint64_t offset, left; /* bytes: of the part that is not yet in memory, and how many are left */
    geo_sort_record *buffer;
    size_t at, count, cap;
};

static inline bool before(const geo_sort_record *a, const geo_sort_record *b)
{
    return a->high != b->high ? a->high < b->high : a->low < b->low;
}

static void sort_small(geo_sort_record *items, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        geo_sort_record own = items[i];
        size_t at = i;
        for (; at > 0 && before(&own, &items[at - 1]); at--)
            items[at] = items[at - 1];
        items[at] = own;
    }
}

static inline unsigned byte_of(const geo_sort_record *r, unsigned byte)
{
    uint64_t word = byte < 8 ? r->high : r->low;
    return (unsigned)(word >> (56 - byte % 8 * 8)) & 0xFF;
}

/* Puts every record into the bucket of its byte, in place: each one taken out is swapped into where
 * it belongs until one comes that belongs here. */
static void permute(geo_sort_record *items, const size_t *ends, size_t *next, unsigned byte)
{
    for (unsigned bucket = 0; bucket < 256; bucket++) {
        while (next[bucket] < ends[bucket]) {
            geo_sort_record own = items[next[bucket]];
            unsigned to;
            while ((to = byte_of(&own, byte)) != bucket) {
                geo_sort_record other = items[next[to]];
                items[next[to]++] = own;
                own = other;
            }
            items[next[bucket]++] = own;
        }
    }
}

/* By the most significant byte first; the depth is at most KEY_BYTES. */
static void sort_from(geo_sort_record *items, size_t count, unsigned byte)
{
    for (; count > SMALL && byte < KEY_BYTES; byte++) {
        size_t counts[256] = {0}, next[256], ends[256];
        for (size_t i = 0; i < count; i++)
            counts[byte_of(&items[i], byte)]++;
        if (counts[byte_of(items, byte)] == count)
            continue; /* all alike here */
        size_t sum = 0;
        for (unsigned bucket = 0; bucket < 256; bucket++) {
            next[bucket] = sum;
            sum += counts[bucket];
            ends[bucket] = sum;
        }
        permute(items, ends, next, byte);
        for (unsigned bucket = 0; bucket < 256; bucket++)
            sort_from(items + ends[bucket] - counts[bucket], counts[bucket], byte + 1);
        return;
    }
    if (count <= SMALL)
        sort_small(items, count);
}

void geo_sort_records(geo_sort_record *items, size_t count)
{
    sort_from(items, count, 0);
}

void geo_sorter_init(geo_sorter *s, geo_temp *temp, size_t memory_bytes, const char *what)
{
    *s = (geo_sorter){.count_max = memory_bytes / sizeof(geo_sort_record),
                      .what = what,
                      .file = {.temp = temp, .fd = -1}};
    if (s->count_max < READ_RECORDS_MIN)
        s->count_max = READ_RECORDS_MIN;
}

void geo_sorter_done(geo_sorter *s)
{
    for (size_t i = 0; i < s->run_count; i++)
        sx_free(s->runs[i].buffer);
    sx_free(s->runs);
    sx_free(s->items);
    sx_free(s->heap);
    geo_temp_close(&s->file);
    s->items = NULL;
    s->runs = NULL;
    s->heap = NULL;
    s->count = s->cap = s->run_count = s->run_cap = 0;
}

static sx_status spill(geo_sorter *s, sx_error *err)
{
    if (!sx_grow(&s->runs, &s->run_cap, s->run_count + 1, sizeof(*s->runs)))
        return sx_fail_memory(err, s->what);
    geo_sort_records(s->items, s->count);
    uint64_t bytes = (uint64_t)s->count * sizeof(*s->items);
    s->runs[s->run_count] = (geo_sort_run){.offset = s->file.bytes, .left = bytes};
    sx_status status = geo_temp_write(&s->file, s->items, (size_t)bytes, err);
    if (status != SX_OK)
        return sx_error_prefix(err, status, "sorting %s", s->what);
    s->run_count++;
    s->count = 0;
    return SX_OK;
}

/* The items' block never grows beyond count_max, so that no more memory is taken than was given. */
static bool grow(geo_sorter *s)
{
    size_t cap = s->cap ? s->cap * 2 : 256;
    if (s->file.temp->folder && cap > s->count_max)
        cap = s->count_max;
    geo_sort_record *items = sx_realloc(s->items, cap * sizeof(*items));
    if (!items)
        return false;
    s->items = items;
    s->cap = cap;
    return true;
}

sx_status geo_sorter_add(geo_sorter *s, uint64_t high, uint64_t low, sx_error *err)
{
    if (sx_unlikely(s->count == s->cap)) {
        bool full = s->count >= s->count_max && s->file.temp->folder;
        sx_status status = full ? spill(s, err) : SX_OK;
        if (status != SX_OK)
            return status;
        if (!full && !grow(s))
            return sx_fail_memory(err, s->what);
    }
    s->items[s->count++] = (geo_sort_record){high, low};
    s->total++;
    return SX_OK;
}

/* Reads the next part of a run. */
static sx_status refill(geo_sorter *s, geo_sort_run *r, sx_error *err)
{
    uint64_t bytes = (uint64_t)r->cap * sizeof(*r->buffer);
    if (bytes > r->left)
        bytes = r->left;
    r->at = 0;
    r->count = (size_t)bytes / sizeof(*r->buffer);
    sx_status status = geo_temp_read(&s->file, r->offset, r->buffer, (size_t)bytes, err);
    r->offset += bytes;
    r->left -= bytes;
    return status;
}

static inline bool run_before(const geo_sorter *s, uint32_t a, uint32_t b)
{
    const geo_sort_run *x = &s->runs[a], *y = &s->runs[b];
    return before(&x->buffer[x->at], &y->buffer[y->at]);
}

/* Moves the run at `at` down to where it belongs. */
static void sink(geo_sorter *s, size_t at)
{
    uint32_t own = s->heap[at];
    for (;;) {
        size_t child = at * 2 + 1;
        if (child >= s->heap_count)
            break;
        if (child + 1 < s->heap_count && run_before(s, s->heap[child + 1], s->heap[child]))
            child++;
        if (!run_before(s, s->heap[child], own))
            break;
        s->heap[at] = s->heap[child];
        at = child;
    }
    s->heap[at] = own;
}

/* Shares the memory that held the items among the runs' buffers. */
static sx_status open_runs(geo_sorter *s, sx_error *err)
{
    size_t each = s->count_max / s->run_count;
    if (each < READ_RECORDS_MIN && s->run_count > READ_RECORDS_MIN)
        return sx_fail(
            err, SX_ELIMIT,
            "sorting %llu %s takes %zu runs, too many to merge in the memory given; give "
            "more (--memory)",
            (unsigned long long)s->total, s->what, s->run_count);
    if (each < READ_RECORDS_MIN)
        each = READ_RECORDS_MIN;
    s->heap = sx_calloc(s->run_count, sizeof(*s->heap));
    if (!s->heap)
        return sx_fail_memory(err, s->what);
    for (size_t i = 0; i < s->run_count; i++) {
        geo_sort_run *r = &s->runs[i];
        r->cap = each;
        r->buffer = sx_alloc(each * sizeof(*r->buffer));
        if (!r->buffer)
            return sx_fail_memory(err, s->what);
        sx_status status = refill(s, r, err);
        if (status != SX_OK)
            return status;
        s->heap[s->heap_count++] = (uint32_t)i;
    }
    for (size_t i = s->heap_count; i-- > 0;)
        sink(s, i);
    return SX_OK;
}

sx_status geo_sorter_finish(geo_sorter *s, sx_error *err)
{
    if (s->run_count == 0) {
        if (s->count)
            geo_sort_records(s->items, s->count);
        return SX_OK;
    }
    sx_status status = s->count ? spill(s, err) : SX_OK;
    sx_free(s->items);
    s->items = NULL;
    s->count = s->cap = 0;
    return status == SX_OK ? open_runs(s, err) : status;
}

sx_status geo_sorter_next(geo_sorter *s, geo_sort_record *out, sx_error *err)
{
    if (s->run_count == 0) {
        if (s->at == s->count)
            return SX_END;
        *out = s->items[s->at++];
        return SX_OK;
    }
    if (s->heap_count == 0)
        return SX_END;
    geo_sort_run *r = &s->runs[s->heap[0]];
    *out = r->buffer[r->at++];
    if (sx_unlikely(r->at == r->count)) {
        if (r->left) {
            sx_status status = refill(s, r, err);
            if (status != SX_OK)
                return status;
        } else {
            s->heap[0] = s->heap[--s->heap_count];
        }
    }
    if (s->heap_count)
        sink(s, 0);
    return SX_OK;
}
