/* segment_file.c - the file a segment is written into: groups as they fill, then the tables, at the
 * end the trailer. It grows as PATH.tmp and gets its name when all of it is there. */
#include <stdio.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/segment_impl.h"

enum { WRITER_BUFFER = 1 << 20, GROUP_BITS = 24, PER_BUCKET = 8 };

sx_status tr_file_open(tr_file *f, const char *path, const tr_write_options *options, sx_error *err)
{
    int level = options->zstd_level ? options->zstd_level : options->level >= 2 ? 3 : 1;
    size_t len = strlen(path);
    *f = (tr_file){.options = options};
    f->writer.fd = -1;
    f->info.min_ns = UINT64_MAX;
    f->info.level = options->level;
    f->rows_soft = TR_GROUP_ROWS - TR_GROUP_SLACK;
    f->info.sequence = options->sequence;
    f->path = sx_alloc(len + 1);
    f->making = sx_alloc(len + 5);
    f->side = tr_side_new();
    if (!f->path || !f->making || !f->side)
        return sx_fail_memory(err, "a segment");
    memcpy(f->path, path, len + 1);
    snprintf(f->making, len + 5, "%s.tmp", path);
    sx_buf_init(&f->group, 0);
    sx_buf_init(&f->filter, 0);
    sx_status status = tr_builder_init(&f->builder, level, f->side, err);
    if (status == SX_OK)
        status = sx_writer_open(&f->writer, f->making, SX_WRITER_EMPTY, WRITER_BUFFER, err);
    uint32_t header[2] = {TR_VERSION, 0};
    if (status == SX_OK)
        status = sx_writer_bytes(&f->writer, TR_MAGIC, 8, err);
    return status == SX_OK ? sx_writer_bytes(&f->writer, header, sizeof header, err) : status;
}

/* Sections begin at multiples of 8, so that a mapped one can be read in place. */
static sx_status align(tr_file *f, sx_error *err)
{
    static const char ZERO[8];
    return sx_writer_bytes(&f->writer, ZERO, -f->writer.offset & 7, err);
}

static sx_status begin_section(tr_file *f, tr_section_kind kind, sx_error *err)
{
    if (!sx_grow(&f->sections, &f->sections_cap, f->section_count + 1, sizeof *f->sections))
        return sx_fail_memory(err, "a segment's table");
    sx_status status = align(f, err);
    f->sections[f->section_count++] = (tr_section){.kind = kind, .offset = f->writer.offset};
    return status;
}

static sx_status put(tr_file *f, const void *data, size_t len, sx_error *err)
{
    tr_section *s = &f->sections[f->section_count - 1];
    s->crc = sx_crc32c(s->crc, data, len);
    s->len += len;
    return sx_writer_bytes(&f->writer, data, len, err);
}

static sx_status put_section(tr_file *f, tr_section_kind kind, const void *data, size_t len,
                             sx_error *err)
{
    sx_status status = begin_section(f, kind, err);
    return status == SX_OK ? put(f, data, len, err) : status;
}

sx_status tr_file_dict(tr_file *f, const sx_str *texts, uint32_t count, sx_error *err)
{
    uint32_t head[2] = {count, 0}, at = 0;
    f->builder.globals = count;
    f->builder.global_texts = texts;
    sx_status status = begin_section(f, TR_SECTION_DICT, err);
    if (status == SX_OK)
        status = put(f, head, sizeof head, err);
    for (uint32_t i = 0; i <= count && status == SX_OK; i++) {
        status = put(f, &at, sizeof at, err);
        at += i < count ? (uint32_t)texts[i].len : 0;
    }
    for (uint32_t i = 0; i < count && status == SX_OK; i++)
        status = put(f, texts[i].data, texts[i].len, err);
    return status;
}

/* --- Groups. */

static bool index_traces(tr_file *f, const tr_summary *sum)
{
    const tr_builder *b = &f->builder;
    const uint8_t *last = NULL;
    for (size_t i = 0; i < b->row_count; i++) {
        const uint8_t *id = b->rows[i].trace_id;
        if (last && memcmp(last, id, 16) == 0)
            continue;
        if (last || !sum->goes_on) {
            if (!sx_grow(&f->traces, &f->traces_cap, f->trace_count + 1, sizeof *f->traces))
                return false;
            uint64_t hash = sx_hash_bytes(id, 16, 0);
            f->traces[f->trace_count++] = hash >> GROUP_BITS << GROUP_BITS | f->group_count;
        }
        last = id;
    }
    return true;
}

static sx_status write_sides(tr_file *f, sx_error *err)
{
    static void (*const WRITE[])(tr_side *, sx_buf *) = {tr_side_write_edges,
                                                         tr_side_write_orphans};
    static const tr_section_kind KIND[] = {TR_SECTION_EDGES, TR_SECTION_ORPHANS};
    sx_status status = SX_OK;
    for (unsigned i = 0; i < 2 && status == SX_OK; i++) {
        sx_buf_clear(&f->group);
        WRITE[i](f->side, &f->group);
        status = sx_buf_status(&f->group, "a segment's table", err);
        if (status == SX_OK && f->group.len)
            status = put_section(f, KIND[i], f->group.data, f->group.len, err);
    }
    return status;
}

sx_status tr_file_sides(tr_file *f, sx_error *err)
{
    return tr_side_is_full(f->side) ? write_sides(f, err) : SX_OK;
}

/* The group and its filter that were put together, `sum` but its place and checksums. Its traces are in
 * the index already. */
static sx_status put_group(tr_file *f, tr_summary *sum, sx_error *err)
{
    sum->offset = f->writer.offset;
    sum->first_row = f->info.rows;
    sum->len = (uint32_t)f->group.len;
    sum->filter_len = (uint32_t)f->filter.len;
    sum->crc = sx_crc32c(0, f->group.data, f->group.len);
    sum->filter_crc = sx_crc32c(0, f->filter.data, f->filter.len);
    if (!sx_grow(&f->groups, &f->groups_cap, f->group_count + 1, sizeof *f->groups))
        return sx_fail_memory(err, "a segment's index");
    f->groups[f->group_count++] = *sum;
    f->info.rows += sum->rows;
    f->info.errors += sum->errors;
    f->info.min_ns = sum->min_ns < f->info.min_ns ? sum->min_ns : f->info.min_ns;
    f->info.max_ns = sum->max_ns > f->info.max_ns ? sum->max_ns : f->info.max_ns;
    sx_status status = sx_writer_bytes(&f->writer, f->group.data, f->group.len, err);
    if (status == SX_OK)
        status = sx_writer_bytes(&f->writer, f->filter.data, f->filter.len, err);
    return status == SX_OK ? tr_file_sides(f, err) : status;
}

static sx_status begin_group(tr_file *f, sx_error *err)
{
    if (f->options->canceled && atomic_load_explicit(f->options->canceled, memory_order_relaxed))
        return sx_fail(err, SX_ECANCELED, "writing %s was canceled", f->path);
    if (f->group_count == TR_GROUPS_MAX)
        return sx_fail(err, SX_ELIMIT, "%s has more than %d groups", f->path, TR_GROUPS_MAX);
    sx_buf_clear(&f->group);
    sx_buf_clear(&f->filter);
    return align(f, err);
}

static sx_status end_group(tr_file *f, bool goes_on, sx_error *err)
{
    tr_summary sum;
    sx_status status = begin_group(f, err);
    if (status == SX_OK)
        status = tr_builder_encode(&f->builder, &f->group, &f->filter, &sum, err);
    if (status != SX_OK)
        return status;
    sum.goes_on = f->group_goes_on;
    if (!index_traces(f, &sum))
        return sx_fail_memory(err, "a segment's index");
    f->group_goes_on = goes_on;
    tr_builder_clear(&f->builder);
    return put_group(f, &sum, err);
}

/* The same for traces that lie in the group's bytes. */
static sx_status index_copied(tr_file *f, const tr_summary *sum, sx_error *err)
{
    tr_group_head head;
    memcpy(&head, f->group.data, sizeof head); /* checked as it was copied */
    const char *ids = f->group.data + sizeof head + 4 * ((size_t)TR_CHUNKS + head.column_count);
    if (!sx_grow(&f->traces, &f->traces_cap, f->trace_count + sum->traces, sizeof *f->traces))
        return sx_fail_memory(err, "a segment's index");
    for (uint32_t t = sum->goes_on ? 1 : 0; t < sum->traces; t++)
        f->traces[f->trace_count++] =
            sx_hash_bytes(ids + 16 * (size_t)t, 16, 0) >> GROUP_BITS << GROUP_BITS | f->group_count;
    return SX_OK;
}

sx_status tr_file_group(tr_file *f, const tr_segment *s, uint64_t group, const uint32_t *map,
                        tr_unpacker *unpacker, sx_error *err)
{
    tr_summary sum = s->groups[group];
    const uint8_t *filter;
    sx_status status = SX_OK;
    /* Rows of the group under way may wait for more, unless their trace began in the one before. */
    if (f->builder.row_count && (f->group_goes_on || f->builder.row_count >= TR_GROUP_ROWS / 2))
        status = end_group(f, false, err);
    if (status == SX_OK)
        status = begin_group(f, err);
    if (status == SX_OK)
        status = tr_copy_group(s, group, map, &f->builder.packer, unpacker, &f->group, err);
    if (status == SX_OK)
        status = tr_segment_filter(s, group, &filter, err);
    if (status != SX_OK)
        return status;
    sx_buf_bytes(&f->filter, filter, sum.filter_len);
    status = sx_buf_status(&f->filter, "a group of spans", err);
    if (status == SX_OK)
        status = index_copied(f, &sum, err);
    return status == SX_OK ? put_group(f, &sum, err) : status;
}

sx_status tr_file_row(tr_file *f, tr_feed *feed, uint32_t row, sx_error *err)
{
    const uint8_t *id = feed->rows[row].trace_id;
    bool same = f->in_trace && memcmp(id, f->trace, 16) == 0;
    if (!same) {
        if (f->in_trace && !tr_side_end_trace(f->side, f->trace))
            return sx_fail_memory(err, "a segment's calls");
        memcpy(f->trace, id, 16);
        f->in_trace = true;
    }
    if ((!same && f->builder.row_count >= f->rows_soft) || tr_builder_full(&f->builder)) {
        sx_status status = end_group(f, same, err);
        if (status != SX_OK)
            return status;
    }
    return tr_feed_row(feed, row, &f->builder) ? SX_OK : sx_fail_memory(err, "a group of spans");
}

/* --- The end. */

/* The hash index: buckets by the high bits, in each entry the next bits and the group. */
static sx_status write_traces(tr_file *f, sx_error *err)
{
    unsigned bucket_bits = 0, group_bits = 1;
    while ((size_t)PER_BUCKET << bucket_bits < f->trace_count)
        bucket_bits++;
    while ((uint64_t)1 << group_bits < f->group_count)
        group_bits++;
    unsigned print_bits = 32 - group_bits;
    if (print_bits + bucket_bits > 64 - GROUP_BITS)
        print_bits = 64 - GROUP_BITS - bucket_bits;
    size_t buckets = (size_t)1 << bucket_bits;
    uint32_t *starts = sx_calloc(buckets + 1, sizeof *starts);
    uint32_t *entries = sx_alloc((f->trace_count + 1) * sizeof *entries);
    uint32_t head[4] = {(uint32_t)f->trace_count, bucket_bits, group_bits, print_bits};
    sx_status status = starts && entries ? SX_OK : sx_fail_memory(err, "a segment's index");
    if (status == SX_OK) {
        unsigned down = 64 - bucket_bits;
        for (size_t i = 0; i < f->trace_count; i++)
            starts[bucket_bits ? f->traces[i] >> down : 0]++;
        for (size_t b = 0, sum = 0; b <= buckets; b++) {
            uint32_t n = starts[b];
            starts[b] = (uint32_t)sum;
            sum += n;
        }
        for (size_t i = 0; i < f->trace_count; i++) {
            uint64_t t = f->traces[i];
            uint32_t print = (uint32_t)(t << bucket_bits >> (64 - print_bits));
            uint32_t group = (uint32_t)(t & ((1u << GROUP_BITS) - 1));
            entries[starts[bucket_bits ? t >> down : 0]++] = print << group_bits | group;
        }
        memmove(starts + 1, starts, buckets * sizeof *starts); /* they ran to their ends */
        starts[0] = 0;
        status = begin_section(f, TR_SECTION_TRACES, err);
    }
    if (status == SX_OK)
        status = put(f, head, sizeof head, err);
    if (status == SX_OK)
        status = put(f, starts, (buckets + 1) * sizeof *starts, err);
    if (status == SX_OK)
        status = put(f, entries, f->trace_count * sizeof *entries, err);
    sx_free(starts);
    sx_free(entries);
    return status;
}

static sx_status write_lists(tr_file *f, sx_error *err)
{
    sx_buf_clear(&f->group);
    tr_side_write_operations(f->side, &f->group);
    sx_status status = sx_buf_status(&f->group, "a segment's operations", err);
    if (status == SX_OK)
        status = put_section(f, TR_SECTION_OPERATIONS, f->group.data, f->group.len, err);
    sx_buf_clear(&f->group);
    tr_side_write_keys(f->side, &f->group);
    if (status == SX_OK)
        status = sx_buf_status(&f->group, "a segment's keys", err);
    if (status == SX_OK)
        status = put_section(f, TR_SECTION_KEYS, f->group.data, f->group.len, err);
    return status;
}

static sx_status write_trailer(tr_file *f, sx_error *err)
{
    sx_status status = align(f, err);
    if (status != SX_OK)
        return status;
    size_t bytes = f->section_count * sizeof *f->sections;
    tr_trailer t = {.version = TR_VERSION,
                    .section_count = (uint32_t)f->section_count,
                    .table_offset = f->writer.offset,
                    .rows = f->info.rows,
                    .traces = f->info.traces,
                    .groups = f->info.groups,
                    .min_ns = f->info.min_ns,
                    .max_ns = f->info.max_ns,
                    .sequence = f->info.sequence,
                    .errors = f->info.errors,
                    .level = f->info.level,
                    .table_crc = sx_crc32c(0, f->sections, bytes)};
    memcpy(t.magic, TR_MAGIC, sizeof t.magic);
    t.crc = sx_crc32c(0, &t, offsetof(tr_trailer, crc));
    status = sx_writer_bytes(&f->writer, f->sections, bytes, err);
    return status == SX_OK ? sx_writer_bytes(&f->writer, &t, sizeof t, err) : status;
}

static sx_status sync_folder(const char *path, sx_error *err)
{
    const char *slash = strrchr(path, '/');
    size_t len = slash ? (size_t)(slash - path) : 0;
    char *folder = sx_alloc(len + 2);
    if (!folder)
        return sx_fail_memory(err, "a path");
    memcpy(folder, len ? path : slash ? "/" : ".", len ? len : 1);
    folder[len ? len : 1] = '\0';
    sx_status status = sx_folder_sync(folder, err);
    sx_free(folder);
    return status;
}

sx_status tr_file_commit(tr_file *f, tr_segment_info *info, sx_error *err)
{
    sx_status status = SX_OK;
    if (f->in_trace && !tr_side_end_trace(f->side, f->trace))
        return sx_fail_memory(err, "a segment's calls");
    if (f->builder.row_count)
        status = end_group(f, false, err);
    tr_side_sum(f->side, false);
    if (status == SX_OK)
        status = write_sides(f, err);
    f->info.groups = f->group_count;
    f->info.traces = f->trace_count;
    if (f->info.rows == 0)
        f->info.min_ns = 0;
    if (status == SX_OK)
        status = write_lists(f, err);
    if (status == SX_OK)
        status = write_traces(f, err);
    if (status == SX_OK)
        status =
            put_section(f, TR_SECTION_GROUPS, f->groups, f->group_count * sizeof *f->groups, err);
    if (status == SX_OK)
        status = write_trailer(f, err);
    f->info.bytes = f->writer.offset;
    if (status == SX_OK && f->options->sync)
        status = sx_writer_sync(&f->writer, err);
    if (status == SX_OK)
        status = sx_writer_close(&f->writer, err);
    if (status == SX_OK)
        status = sx_file_rename(f->making, f->path, err);
    if (status != SX_OK)
        return status;
    sx_free(f->making); /* nothing to remove any more */
    f->making = NULL;
    if (f->options->sync)
        status = sync_folder(f->path, err);
    if (info)
        *info = f->info;
    return status;
}

void tr_file_abandon(tr_file *f)
{
    if (f->writer.fd >= 0)
        sx_writer_abandon(&f->writer);
    if (f->making)
        (void)sx_file_remove(f->making, NULL); /* the next start removes what this could not */
    tr_builder_done(&f->builder);
    tr_side_free(f->side);
    sx_buf_done(&f->group);
    sx_buf_done(&f->filter);
    void *blocks[] = {f->path, f->making, f->groups, f->sections, f->traces};
    for (size_t i = 0; i < sizeof blocks / sizeof blocks[0]; i++)
        sx_free(blocks[i]);
    *f = (tr_file){0};
    f->writer.fd = -1;
}
