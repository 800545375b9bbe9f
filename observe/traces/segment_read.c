/* segment_read.c - a segment opened: its tables, the way from a trace id to its rows.
 *
 * Opening reads the trailer, the section table and the summaries of the groups, nothing else; each
 * other section has its checksum compared when it is first asked for. Two threads may do so at once:
 * both come to the same and say so. */
#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

enum { GROUP_GOOD = 1, FILTER_GOOD = 2 };

sx_status tr_segment_damaged(const tr_segment *s, sx_error *err, const char *what, uint64_t where)
{
    return sx_fail(err, SX_ECORRUPT, "%s: damaged: %s %llu; remove the file or restore it", s->path,
                   what, (unsigned long long)where);
}

static sx_status ready_dict(const tr_segment *s, sx_error *err);
static sx_status ready_traces(const tr_segment *s, sx_error *err);

/* --- Opening. */

static sx_status check_section(const tr_segment *s, size_t i, sx_error *err)
{
    const tr_section *t = &s->sections[i];
    if (atomic_load_explicit(&s->section_good[i], memory_order_acquire))
        return SX_OK;
    if (sx_crc32c(0, s->map.data + t->offset, t->len) != t->crc)
        return tr_segment_damaged(s, err, "section", i);
    atomic_store_explicit(&s->section_good[i], 1, memory_order_release);
    return SX_OK;
}

sx_status tr_segment_section(const tr_segment *s, size_t i, sx_str *out, sx_error *err)
{
    sx_status status = s->sections[i].kind == TR_SECTION_DICT     ? ready_dict(s, err)
                       : s->sections[i].kind == TR_SECTION_TRACES ? ready_traces(s, err)
                                                                  : check_section(s, i, err);
    *out = sx_str_of(s->map.data + s->sections[i].offset, s->sections[i].len);
    return status;
}

static size_t find_section(const tr_segment *s, tr_section_kind kind)
{
    size_t i = 0;
    while (i < s->section_count && s->sections[i].kind != kind)
        i++;
    return i;
}

static sx_status open_trailer(tr_segment *s, sx_error *err)
{
    tr_trailer t;
    uint64_t len = s->map.len;
    if (len < TR_HEADER_BYTES + TR_TRAILER_BYTES || memcmp(s->map.data, TR_MAGIC, 8) != 0)
        return sx_fail(err, SX_ECORRUPT, "%s: not a trace segment, or cut short", s->path);
    memcpy(&t, s->map.data + len - sizeof t, sizeof t);
    if (memcmp(t.magic, TR_MAGIC, 8) != 0 || sx_crc32c(0, &t, offsetof(tr_trailer, crc)) != t.crc)
        return sx_fail(err, SX_ECORRUPT, "%s: the trailer is damaged or cut off", s->path);
    if (t.version != TR_VERSION)
        return sx_fail(err, SX_EUNSUPPORTED, "%s: version %u; this program reads version %d",
                       s->path, t.version, TR_VERSION);
    uint64_t bytes = (uint64_t)t.section_count * sizeof *s->sections;
    if (t.table_offset % 8 || t.table_offset > len || bytes > len - t.table_offset ||
        sx_crc32c(0, s->map.data + t.table_offset, bytes) != t.table_crc)
        return sx_fail(err, SX_ECORRUPT, "%s: the section table is damaged", s->path);
    s->info = (tr_segment_info){t.rows,   t.traces, t.groups,   len,     t.min_ns,
                                t.max_ns, t.level,  t.sequence, t.errors};
    s->section_count = t.section_count;
    s->sections = (const tr_section *)(const void *)(s->map.data + t.table_offset);
    for (uint32_t i = 0; i < s->section_count; i++)
        if (s->sections[i].offset % 8 || s->sections[i].offset > len ||
            s->sections[i].len > len - s->sections[i].offset)
            return tr_segment_damaged(s, err, "section", i);
    return SX_OK;
}

static sx_status open_groups(tr_segment *s, sx_error *err)
{
    size_t at = find_section(s, TR_SECTION_GROUPS);
    sx_str bytes;
    if (at == s->section_count)
        return tr_segment_damaged(s, err, "no groups, sections", at);
    sx_status status = tr_segment_section(s, at, &bytes, err);
    if (status != SX_OK)
        return status;
    if (s->info.groups > TR_GROUPS_MAX || bytes.len != s->info.groups * sizeof *s->groups)
        return tr_segment_damaged(s, err, "groups", s->info.groups);
    s->groups = (const tr_summary *)(const void *)bytes.data;
    uint64_t rows = 0;
    for (uint64_t g = 0; g < s->info.groups; g++) {
        const tr_summary *sum = &s->groups[g];
        if (sum->first_row != rows || sum->rows == 0 || sum->rows > TR_GROUP_ROWS ||
            sum->offset % 8 || sum->offset > s->map.len ||
            (uint64_t)sum->len + sum->filter_len > s->map.len - sum->offset ||
            (g == 0 && sum->goes_on))
            return tr_segment_damaged(s, err, "summary of group", g);
        rows += sum->rows;
    }
    if (rows != s->info.rows)
        return tr_segment_damaged(s, err, "rows", s->info.rows);
    return SX_OK;
}

/* Only the place of the dictionary and of the hash index is looked at; the rest is checked when they
 * are first used. */
static sx_status open_tables(tr_segment *s, sx_error *err)
{
    size_t dict = find_section(s, TR_SECTION_DICT), traces = find_section(s, TR_SECTION_TRACES);
    bool listed = find_section(s, TR_SECTION_OPERATIONS) < s->section_count &&
                  find_section(s, TR_SECTION_KEYS) < s->section_count;
    if (dict == s->section_count || traces == s->section_count || !listed)
        return tr_segment_damaged(s, err, "a table is missing, sections", s->section_count);
    const tr_section *d = &s->sections[dict], *t = &s->sections[traces];
    uint32_t head[4];
    if (d->len < 12 || t->len < sizeof head)
        return tr_segment_damaged(s, err, "dictionary, bytes", d->len);
    memcpy(head, s->map.data + d->offset, 8);
    if (head[0] > TR_DICT_COUNT_MAX * 16u || 8 + 4 * ((uint64_t)head[0] + 1) > d->len)
        return tr_segment_damaged(s, err, "dictionary, texts", head[0]);
    s->dict_count = head[0];
    s->dict_offsets = (const uint32_t *)(const void *)(s->map.data + d->offset + 8);
    s->dict_bytes = (const char *)(s->dict_offsets + s->dict_count + 1);
    memcpy(head, s->map.data + t->offset, sizeof head);
    s->bucket_bits = head[1], s->group_bits = head[2], s->print_bits = head[3];
    if (head[0] != s->info.traces || head[1] > 32 || head[2] > 24 || head[2] == 0 || head[3] == 0 ||
        head[2] + head[3] > 32 || head[1] + head[3] > 40 ||
        t->len != sizeof head + 4 * (((uint64_t)1 << head[1]) + 1 + head[0]))
        return tr_segment_damaged(s, err, "trace index, traces", head[0]);
    s->bucket_starts = (const uint32_t *)(const void *)(s->map.data + t->offset + sizeof head);
    s->trace_entries = s->bucket_starts + ((size_t)1 << s->bucket_bits) + 1;
    return SX_OK;
}

sx_status tr_segment_open(const char *path, tr_segment **out, sx_error *err)
{
    size_t len = strlen(path);
    tr_segment *s = sx_calloc(1, sizeof *s);
    *out = NULL;
    if (!s)
        return sx_fail_memory(err, "a segment");
    s->refs = 1;
    s->path = sx_alloc(len + 1);
    sx_status status = s->path ? SX_OK : sx_fail_memory(err, "a segment");
    if (status == SX_OK) {
        memcpy(s->path, path, len + 1);
        status = sx_mapping_open(&s->map, path, SX_MAP_RANDOM, err);
    }
    if (status == SX_OK)
        status = open_trailer(s, err);
    if (status == SX_OK) {
        s->section_good = sx_calloc(s->section_count + 1, 1);
        s->group_good = sx_calloc(s->info.groups <= TR_GROUPS_MAX ? s->info.groups + 1 : 1, 1);
        if (!s->section_good || !s->group_good)
            status = sx_fail_memory(err, "a segment");
    }
    if (status == SX_OK)
        status = open_groups(s, err);
    if (status == SX_OK)
        status = open_tables(s, err);
    if (status != SX_OK)
        tr_segment_unref(s);
    else
        *out = s;
    return status;
}

tr_segment *tr_segment_ref(tr_segment *s)
{
    atomic_fetch_add_explicit(&s->refs, 1, memory_order_relaxed);
    return s;
}

void tr_segment_unref(tr_segment *s)
{
    if (!s || atomic_fetch_sub_explicit(&s->refs, 1, memory_order_acq_rel) != 1)
        return;
    sx_mapping_close(&s->map);
    if (s->dropped)
        (void)sx_file_remove(s->path, NULL); /* the store's start finds what stays behind */
    sx_free(s->path);
    sx_free((void *)s->section_good);
    sx_free((void *)s->group_good);
    sx_free(s);
}

void tr_segment_share(tr_segment *s, tr_hot *h)
{
    s->hot = h;
}

void tr_segment_drop(tr_segment *s)
{
    s->dropped = true;
    tr_hot_forget(s->hot, s);
}

const tr_segment_info *tr_segment_about(const tr_segment *s)
{
    return &s->info;
}

const char *tr_segment_path(const tr_segment *s)
{
    return s->path;
}

/* --- Its parts. */

/* The dictionary's offsets must climb and stay inside; seen once, with the checksum. */
static sx_status ready_dict(const tr_segment *s, sx_error *err)
{
    size_t at = find_section(s, TR_SECTION_DICT);
    if (atomic_load_explicit(&s->section_good[at], memory_order_acquire))
        return SX_OK;
    const tr_section *t = &s->sections[at];
    uint64_t bytes = t->len - 8 - 4 * ((uint64_t)s->dict_count + 1);
    bool fine = s->dict_offsets[0] == 0 && s->dict_offsets[s->dict_count] == bytes;
    for (uint32_t i = 0; i < s->dict_count && fine; i++)
        fine = s->dict_offsets[i] <= s->dict_offsets[i + 1];
    for (uint32_t i = 0; i + 1 < s->dict_count && fine; i++)
        fine = sx_str_cmp(tr_segment_text(s, i), tr_segment_text(s, i + 1)) < 0;
    return fine ? check_section(s, at, err)
                : tr_segment_damaged(s, err, "dictionary, texts", s->dict_count);
}

static sx_status ready_traces(const tr_segment *s, sx_error *err)
{
    size_t at = find_section(s, TR_SECTION_TRACES), buckets = (size_t)1 << s->bucket_bits;
    if (atomic_load_explicit(&s->section_good[at], memory_order_acquire))
        return SX_OK;
    bool fine = s->bucket_starts[0] == 0 && s->bucket_starts[buckets] == s->info.traces;
    for (size_t i = 0; i < buckets && fine; i++)
        fine = s->bucket_starts[i] <= s->bucket_starts[i + 1];
    return fine ? check_section(s, at, err)
                : tr_segment_damaged(s, err, "trace index, traces", s->info.traces);
}

static sx_status part(const tr_segment *s, uint64_t group, uint64_t offset, uint32_t len,
                      uint32_t crc, unsigned bit, const uint8_t **bytes, sx_error *err)
{
    _Atomic uint8_t *good = &s->group_good[group];
    *bytes = (const uint8_t *)s->map.data + offset;
    if (atomic_load_explicit(good, memory_order_relaxed) & bit)
        return SX_OK;
    if (sx_crc32c(0, *bytes, len) != crc)
        return tr_segment_damaged(s, err, "checksum of group", group);
    atomic_fetch_or_explicit(good, (uint8_t)bit, memory_order_relaxed);
    return SX_OK;
}

sx_status tr_segment_group(const tr_segment *s, uint64_t group, const uint8_t **bytes,
                           sx_error *err)
{
    const tr_summary *g = &s->groups[group];
    sx_status status = ready_dict(s, err);
    return status == SX_OK ? part(s, group, g->offset, g->len, g->crc, GROUP_GOOD, bytes, err)
                           : status;
}

sx_status tr_segment_filter(const tr_segment *s, uint64_t group, const uint8_t **bytes,
                            sx_error *err)
{
    const tr_summary *g = &s->groups[group];
    return part(s, group, g->offset + g->len, g->filter_len, g->filter_crc, FILTER_GOOD, bytes,
                err);
}

bool tr_segment_find_text(const tr_segment *s, sx_str text, uint32_t *code)
{
    uint32_t low = 0, high = s->dict_count;
    if (ready_dict(s, NULL) != SX_OK)
        return false;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = sx_str_cmp(tr_segment_text(s, middle), text);
        if (order == 0) {
            *code = middle;
            return true;
        }
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

uint64_t tr_segment_group_of(const tr_segment *s, uint64_t row)
{
    uint64_t low = 0, high = s->info.groups;
    while (high - low > 1) {
        uint64_t middle = low + (high - low) / 2;
        if (s->groups[middle].first_row <= row)
            low = middle;
        else
            high = middle;
    }
    return low;
}

/* --- Traces. */

/* Rows of the trace within one group; *count 0: none. */
static sx_status find_in_group(const tr_segment *s, uint64_t group, const uint8_t trace_id[16],
                               uint64_t *first, uint64_t *count, sx_error *err)
{
    const uint8_t *bytes;
    tr_group_head head;
    uint32_t lengths[2];
    sx_status status = tr_segment_group(s, group, &bytes, err);
    *count = 0;
    if (status != SX_OK)
        return status;
    const tr_summary *sum = &s->groups[group];
    if (sum->len < sizeof head + sizeof lengths)
        return tr_segment_damaged(s, err, "group", group);
    memcpy(&head, bytes, sizeof head);
    memcpy(lengths, bytes + sizeof head, sizeof lengths);
    uint64_t ids_at = sizeof head + 4 * ((uint64_t)TR_CHUNKS + head.column_count);
    uint64_t all = 18 * (uint64_t)sum->traces;
    if (head.traces != sum->traces || lengths[0] != 16 * (uint64_t)sum->traces ||
        lengths[1] != 2 * (uint64_t)sum->traces || ids_at > sum->len || all > sum->len - ids_at)
        return tr_segment_damaged(s, err, "traces of group", group);
    const uint8_t *ids = bytes + ids_at, *runs = ids + lengths[0];
    uint64_t row = 0;
    for (uint32_t t = 0; t < sum->traces; t++) {
        uint16_t run;
        memcpy(&run, runs + 2 * (size_t)t, sizeof run);
        if (row + run > sum->rows)
            return tr_segment_damaged(s, err, "traces of group", group);
        if (memcmp(ids + 16 * (size_t)t, trace_id, 16) == 0) {
            *first = sum->first_row + row;
            *count = run;
            return SX_OK;
        }
        row += run;
    }
    return SX_OK;
}

/* The trace may reach into the groups behind. */
static sx_status follow(const tr_segment *s, uint64_t group, const uint8_t trace_id[16],
                        uint64_t first, uint64_t *count, sx_error *err)
{
    while (group + 1 < s->info.groups && s->groups[group + 1].goes_on &&
           first + *count == s->groups[group + 1].first_row) {
        uint64_t there, more;
        sx_status status = find_in_group(s, ++group, trace_id, &there, &more, err);
        if (status != SX_OK)
            return status;
        if (more == 0 || there != first + *count)
            break;
        *count += more;
    }
    return SX_OK;
}

sx_status tr_segment_find(const tr_segment *s, const uint8_t trace_id[16], uint64_t *first,
                          uint64_t *count, sx_error *err)
{
    *first = *count = 0;
    sx_status status = ready_traces(s, err);
    if (status != SX_OK || s->info.traces == 0)
        return status;
    uint64_t hash = sx_hash_bytes(trace_id, 16, 0);
    size_t bucket = s->bucket_bits ? hash >> (64 - s->bucket_bits) : 0;
    uint32_t print = (uint32_t)(hash << s->bucket_bits >> (64 - s->print_bits));
    uint32_t group_mask = ((uint32_t)1 << s->group_bits) - 1;
    for (uint32_t i = s->bucket_starts[bucket]; i < s->bucket_starts[bucket + 1]; i++) {
        uint32_t group = s->trace_entries[i] & group_mask;
        if (s->trace_entries[i] >> s->group_bits != print)
            continue;
        if (group >= s->info.groups)
            return tr_segment_damaged(s, err, "trace index, group", group);
        status = find_in_group(s, group, trace_id, first, count, err);
        if (status != SX_OK)
            return status;
        if (*count)
            return follow(s, group, trace_id, *first, count, err);
    }
    return SX_OK;
}
