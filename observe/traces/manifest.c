/* manifest.c - MANIFEST: which segments and logs are the store. Lines of text, so that it can be read
 * by a person, the last one a checksum of all before; replaced as a whole. docs/formats has it. */
#include <inttypes.h>
#include <stdio.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/traces/store_impl.h"

enum { VERSION = 1, MANIFEST_BYTES_MAX = 64 << 20 };

sx_status tr_segment_name(const char *dir, uint64_t number, char *path, sx_error *err)
{
    int n = snprintf(path, TR_PATH_BYTES, "%s/%012" PRIu64 ".seg", dir, number);
    return n > 0 && n < TR_PATH_BYTES ? SX_OK : sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
}

static sx_status path_of(const char *dir, char *path, sx_error *err)
{
    int n = snprintf(path, TR_PATH_BYTES, "%s/MANIFEST", dir);
    return n > 0 && n < TR_PATH_BYTES ? SX_OK : sx_fail(err, SX_ELIMIT, "path too long: %s", dir);
}

/* The next of the numbers in a line, separated by spaces. */
static bool number_of(sx_str *line, uint64_t *out)
{
    sx_str word;
    sx_str_cut(*line, ' ', &word, line);
    return sx_str_to_u64(word, out);
}

static bool read_segment(sx_str line, tr_manifest_entry *e)
{
    uint64_t shard, level, reduced;
    if (!number_of(&line, &e->number) || !number_of(&line, &e->sequence) ||
        !number_of(&line, &shard) || !number_of(&line, &level) || !number_of(&line, &reduced))
        return false;
    e->shard = (uint32_t)shard;
    e->level = (uint32_t)level;
    e->reduced = reduced != 0;
    return true;
}

static sx_status read_lines(sx_str text, tr_manifest *out, sx_error *err)
{
    sx_str line, word;
    uint64_t n;
    sx_str_cut(text, '\n', &line, &text);
    sx_str_cut(line, ' ', &word, &line);
    if (!sx_str_eq(word, SX_STR("sextant-traces")) || !sx_str_to_u64(line, &n))
        return sx_fail(err, SX_ECORRUPT, "MANIFEST of the traces does not begin as one");
    if (n > VERSION)
        return sx_fail(err, SX_EUNSUPPORTED,
                       "the traces are of format %" PRIu64
                       ", this program knows %d: use a newer one",
                       n, VERSION);
    while (sx_str_cut(text, '\n', &line, &text)) {
        sx_str_cut(line, ' ', &word, &line);
        tr_manifest_entry e = {0};
        bool good = true;
        if (sx_str_eq(word, SX_STR("log"))) {
            good = number_of(&line, &n);
            out->log_first = (uint32_t)n;
        } else if (sx_str_eq(word, SX_STR("next"))) {
            good = number_of(&line, &out->next_number) && number_of(&line, &out->next_sequence);
        } else if (sx_str_eq(word, SX_STR("segment"))) {
            good = read_segment(line, &e);
            if (good && !sx_grow(&out->entries, &out->cap, out->count + 1, sizeof *out->entries))
                return sx_fail_memory(err, "MANIFEST of the traces");
            if (good)
                out->entries[out->count++] = e;
        }
        if (!good)
            return sx_fail(err, SX_ECORRUPT, "MANIFEST of the traces: bad line '%.*s ...'",
                           SX_ARG(word));
    }
    return SX_OK;
}

sx_status tr_manifest_read(const char *dir, tr_manifest *out, sx_error *err)
{
    char path[TR_PATH_BYTES];
    sx_buf text;
    *out = (tr_manifest){.log_first = 1, .next_number = 1, .next_sequence = 1};
    sx_buf_init(&text, 0);
    sx_status status = path_of(dir, path, err);
    if (status == SX_OK)
        status = sx_file_read(path, MANIFEST_BYTES_MAX, &text, err);
    if (status == SX_OK) {
        char sum[24];
        size_t tail = (size_t)snprintf(sum, sizeof sum, "crc32c %08x\n", 0u);
        sx_str body = sx_str_first(sx_buf_view(&text), text.len > tail ? text.len - tail : 0);
        snprintf(sum, sizeof sum, "crc32c %08x\n", sx_crc32c(0, body.data, body.len));
        if (!sx_str_eq(sx_str_from(sx_buf_view(&text), body.len), sx_str_z(sum)))
            status = sx_fail(err, SX_ECORRUPT, "%s: its checksum does not hold", path);
        else
            status = read_lines(body, out, err);
    } else if (status == SX_ENOTFOUND) {
        status = SX_OK; /* a new store */
    }
    sx_buf_done(&text);
    if (status != SX_OK)
        tr_manifest_done(out);
    return status;
}

sx_status tr_manifest_write(const char *dir, const tr_manifest *m, sx_error *err)
{
    char path[TR_PATH_BYTES];
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_buf_printf(&text, "sextant-traces %d\nlog %u\nnext %" PRIu64 " %" PRIu64 "\n", VERSION,
                  m->log_first, m->next_number, m->next_sequence);
    for (size_t i = 0; i < m->count; i++) {
        const tr_manifest_entry *e = &m->entries[i];
        sx_buf_printf(&text, "segment %" PRIu64 " %" PRIu64 " %u %u %d\n", e->number, e->sequence,
                      e->shard, e->level, e->reduced);
    }
    uint32_t crc = sx_crc32c(0, text.data, text.len);
    sx_buf_printf(&text, "crc32c %08x\n", crc);
    sx_status status = sx_buf_status(&text, "MANIFEST of the traces", err);
    if (status == SX_OK)
        status = path_of(dir, path, err);
    if (status == SX_OK)
        status = sx_file_replace(path, sx_buf_view(&text), err);
    sx_buf_done(&text);
    return status;
}

void tr_manifest_done(tr_manifest *m)
{
    sx_free(m->entries);
    m->entries = NULL;
    m->count = m->cap = 0;
}
