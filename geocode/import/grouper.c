/* grouper.c - see grouper.h. A record is two lengths of 32 bits, the key, and the value, in memory as
 * in the file. A run is a range of the file, read again through a buffer of its own. */
#include "geocode/import/grouper.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <sextant/buf.h>
#include <sextant/mem.h>

enum { HEAD_BYTES = 8, WRITE_BYTES = 1 << 18, READ_BYTES = 1 << 16, RUNS_MAX = 4096 };

typedef struct run {
    uint64_t at, end; /* of what was not yet read, in the file */
    sx_buf buffer;
    size_t used;       /* of the buffer */
    sx_str key, value; /* of the record in front */
    bool done;
} run;

struct geo_grouper {
    const char *folder;
    size_t memory_max;
    sx_buf records; /* in the order of adding */
    size_t *order;  /* where each begins */
    size_t count, cap, next;
    int file; /* -1: there is none yet */
    uint64_t file_bytes;
    run *runs;
    size_t run_count, run_cap;
    bool taken; /* the first run's record in front was given away */
};

geo_grouper *geo_grouper_new(const char *folder, size_t memory_max, sx_error *err)
{
    geo_grouper *g = sx_calloc(1, sizeof(*g));
    if (!g) {
        sx_fail_memory(err, "the rows of a file");
        return NULL;
    }
    g->folder = folder;
    g->memory_max = memory_max;
    g->file = -1;
    sx_buf_init(&g->records, 0);
    return g;
}

void geo_grouper_free(geo_grouper *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->run_count; i++)
        sx_buf_done(&g->runs[i].buffer);
    if (g->file >= 0)
        (void)close(g->file);
    sx_free(g->runs);
    sx_free(g->order);
    sx_buf_done(&g->records);
    sx_free(g);
}

/* The record at `bytes`. */
static void read_record(const char *bytes, sx_str *key, sx_str *value)
{
    uint32_t len[2];
    memcpy(len, bytes, HEAD_BYTES);
    *key = sx_str_of(bytes + HEAD_BYTES, len[0]);
    *value = sx_str_of(bytes + HEAD_BYTES + len[0], len[1]);
}

static int by_key(const void *left, const void *right, void *context)
{
    const char *records = context;
    size_t a = *(const size_t *)left, b = *(const size_t *)right;
    sx_str one, other, ignored;
    read_record(records + a, &one, &ignored);
    read_record(records + b, &other, &ignored);
    int order = sx_str_cmp(one, other);
    return order ? order : (a > b) - (a < b);
}

static void sort(geo_grouper *g)
{
    if (g->count)
        qsort_r(g->order, g->count, sizeof(*g->order), by_key, g->records.data);
}

static sx_status disk_failed(const geo_grouper *g, const char *what, sx_error *err)
{
    return sx_fail(err, SX_EIO, "cannot %s a temporary file in %s: %s; free some space there", what,
                   g->folder, strerror(errno));
}

static sx_status open_file(geo_grouper *g, sx_error *err)
{
    if (g->file >= 0)
        return SX_OK;
    g->file = open(g->folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (g->file < 0) { /* a file system without O_TMPFILE */
        char path[4096];
        sx_str folder = sx_str_z(g->folder), name = SX_STR("/.sextant-import-XXXXXX");
        if (folder.len + name.len >= sizeof(path))
            return sx_fail(err, SX_ELIMIT, "the path of the folder %s is too long", g->folder);
        memcpy(path, folder.data, folder.len);
        memcpy(path + folder.len, name.data, name.len);
        path[folder.len + name.len] = '\0';
        g->file = mkostemp(path, O_CLOEXEC);
        if (g->file >= 0)
            (void)unlink(path);
    }
    return g->file < 0 ? disk_failed(g, "make", err) : SX_OK;
}

static sx_status write_out(geo_grouper *g, sx_buf *out, sx_error *err)
{
    if (out->failed)
        return sx_fail_memory(err, "the rows of a file");
    for (size_t done = 0; done < out->len;) {
        ssize_t n = pwrite(g->file, out->data + done, out->len - done, (off_t)g->file_bytes);
        if (n < 0 && errno != EINTR)
            return disk_failed(g, "write", err);
        if (n > 0) {
            done += (size_t)n;
            g->file_bytes += (uint64_t)n;
        }
    }
    sx_buf_clear(out);
    return SX_OK;
}

/* Writes what is in memory as one run. */
static sx_status spill(geo_grouper *g, sx_error *err)
{
    if (g->run_count == RUNS_MAX)
        return sx_fail(err, SX_ELIMIT, "more than %d temporary runs: split the file", RUNS_MAX);
    if (!sx_grow(&g->runs, &g->run_cap, g->run_count + 1, sizeof(*g->runs)))
        return sx_fail_memory(err, "the rows of a file");
    sx_status status = open_file(g, err);
    if (status != SX_OK)
        return status;
    sort(g);
    run *r = &g->runs[g->run_count++];
    *r = (run){.at = g->file_bytes};
    sx_buf_init(&r->buffer, 0);
    sx_buf out;
    sx_buf_init(&out, 0);
    for (size_t i = 0; status == SX_OK && i < g->count; i++) {
        sx_str key, value;
        read_record(g->records.data + g->order[i], &key, &value);
        sx_buf_bytes(&out, key.data - HEAD_BYTES, HEAD_BYTES + key.len + value.len);
        if (out.len >= WRITE_BYTES)
            status = write_out(g, &out, err);
    }
    if (status == SX_OK)
        status = write_out(g, &out, err);
    sx_buf_done(&out);
    r->end = g->file_bytes;
    sx_buf_clear(&g->records);
    g->count = 0;
    return status;
}

sx_status geo_grouper_add(geo_grouper *g, sx_str key, sx_str value, sx_error *err)
{
    size_t bytes = HEAD_BYTES + key.len + value.len;
    if (key.len > UINT32_MAX || value.len > UINT32_MAX)
        return sx_fail(err, SX_ELIMIT, "a row of %zu bytes", bytes);
    size_t room = g->records.len + bytes + (g->count + 1) * sizeof(*g->order);
    if (g->count && room > g->memory_max) {
        sx_status status = spill(g, err);
        if (status != SX_OK)
            return status;
    }
    if (!sx_grow(&g->order, &g->cap, g->count + 1, sizeof(*g->order)))
        return sx_fail_memory(err, "the rows of a file");
    uint32_t len[2] = {(uint32_t)key.len, (uint32_t)value.len};
    g->order[g->count++] = g->records.len;
    sx_buf_bytes(&g->records, len, HEAD_BYTES);
    sx_buf_str(&g->records, key);
    sx_buf_str(&g->records, value);
    return sx_buf_status(&g->records, "the rows of a file", err);
}

/* Makes at least `need` bytes of the run available behind `used`. */
static sx_status fill(geo_grouper *g, run *r, size_t need, sx_error *err)
{
    size_t left = r->buffer.len - r->used;
    if (left >= need)
        return SX_OK;
    if (r->used) /* the first time there is no buffer yet */
        memmove(r->buffer.data, r->buffer.data + r->used, left);
    r->buffer.len = left;
    r->used = 0;
    size_t want = need > READ_BYTES ? need : READ_BYTES;
    while (r->buffer.len < want && r->at < r->end) {
        size_t ask = want - r->buffer.len;
        if (ask > r->end - r->at)
            ask = (size_t)(r->end - r->at);
        char *to = sx_buf_reserve(&r->buffer, ask);
        if (!to)
            return sx_fail_memory(err, "the rows of a file");
        ssize_t n = pread(g->file, to, ask, (off_t)r->at);
        if (n == 0 || (n < 0 && errno != EINTR))
            return disk_failed(g, "read", err);
        if (n > 0) {
            r->buffer.len += (size_t)n;
            r->at += (uint64_t)n;
        }
    }
    return r->buffer.len >= need ? SX_OK : sx_fail(err, SX_EIO, "a temporary file was cut short");
}

/* The run's next record in front. */
static sx_status advance(geo_grouper *g, run *r, sx_error *err)
{
    uint32_t len[2];
    if (r->used == r->buffer.len && r->at == r->end) {
        r->done = true;
        return SX_OK;
    }
    sx_status status = fill(g, r, HEAD_BYTES, err);
    if (status != SX_OK)
        return status;
    memcpy(len, r->buffer.data + r->used, HEAD_BYTES);
    size_t bytes = HEAD_BYTES + (size_t)len[0] + len[1];
    status = fill(g, r, bytes, err);
    if (status != SX_OK)
        return status;
    read_record(r->buffer.data + r->used, &r->key, &r->value);
    r->used += bytes;
    return SX_OK;
}

/* Runs are a heap with the least key at its root; of equal keys the earlier run goes first, which is
 * told by where it ends in the file. */
static bool goes_before(const run *a, const run *b)
{
    if (a->done || b->done)
        return !a->done;
    int order = sx_str_cmp(a->key, b->key);
    return order ? order < 0 : a->end < b->end;
}

static void sift(geo_grouper *g, size_t at)
{
    for (;;) {
        size_t first = at, left = 2 * at + 1;
        for (size_t child = left; child < g->run_count && child < left + 2; child++) {
            if (goes_before(&g->runs[child], &g->runs[first]))
                first = child;
        }
        if (first == at)
            return;
        run swap = g->runs[at];
        g->runs[at] = g->runs[first];
        g->runs[first] = swap;
        at = first;
    }
}

sx_status geo_grouper_finish(geo_grouper *g, sx_error *err)
{
    sx_status status = SX_OK;
    if (g->run_count == 0) {
        sort(g);
        return SX_OK;
    }
    if (g->count)
        status = spill(g, err);
    sx_buf_done(&g->records);
    sx_buf_init(&g->records, 0);
    for (size_t i = 0; status == SX_OK && i < g->run_count; i++)
        status = advance(g, &g->runs[i], err);
    for (size_t i = g->run_count / 2; status == SX_OK && i-- > 0;)
        sift(g, i);
    return status;
}

sx_status geo_grouper_next(geo_grouper *g, sx_str *key, sx_str *value, sx_error *err)
{
    if (g->run_count == 0) {
        if (g->next == g->count)
            return SX_END;
        read_record(g->records.data + g->order[g->next++], key, value);
        return SX_OK;
    }
    run *first = &g->runs[0];
    if (g->taken) {
        sx_status status = advance(g, first, err);
        if (status != SX_OK)
            return status;
        sift(g, 0);
    }
    if (first->done)
        return SX_END;
    g->taken = true;
    *key = first->key;
    *value = first->value;
    return SX_OK;
}
