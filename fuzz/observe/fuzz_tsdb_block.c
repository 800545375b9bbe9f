/* A block's files of any bytes, checksums set right where they are easily found: a refusal has a
 * message, what a selection gives can be read or is refused, tombstones and meta.json print to what
 * reads the same. The first byte says which file it is. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <sextant/hash.h>
#include <sextant/mem.h>

#include "observe/tsdb/block.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void put_be32(uint8_t *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static uint32_t get_be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* A section's checksum stands behind the length that its first four bytes say. */
static void mend_section(uint8_t *data, size_t size, uint64_t at)
{
    if (at > size || size - at < 8)
        return;
    uint64_t len = get_be32(data + at);
    if (len <= size - at - 8)
        put_be32(data + at + 4 + len, sx_crc32c(0, data + at + 4, len));
}

static void mend_index(uint8_t *data, size_t size)
{
    if (size < 57)
        return;
    put_be32(data, 0xBAAAD700);
    data[4] = (uint8_t)(1 + data[4] % 2);
    uint8_t *toc = data + size - 52;
    for (unsigned i = 0; i < 6; i++) { /* offsets that lie in the file */
        memset(toc + 8 * i, 0, 6);
        mend_section(data, size, (uint64_t)toc[8 * i + 6] << 8 | toc[8 * i + 7]);
    }
    put_be32(toc + 48, sx_crc32c(0, toc, 48));
}

static void use_index(const char *path)
{
    static const tsdb_hints HINTS = {.min_t = INT64_MIN, .max_t = INT64_MAX};
    tsdb_block b = {.dir = (char *)(uintptr_t)path, .refs = 1};
    tsdb_selection found = {0};
    tsdb_columns c;
    sx_arena arena;
    sx_str *texts = NULL;
    size_t count = 0;
    sx_error err = {0};
    if (tsdb_index_open(&b.index, path, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
        return;
    }
    b.source = (tsdb_source){&TSDB_BLOCK_OPS, INT64_MIN, INT64_MAX};
    pthread_rwlock_init(&b.stones_lock, NULL);
    sx_arena_init(&arena, 0, 0);
    tsdb_columns_init(&c, &arena);
    tsdb_matcher m = {.kind = TSDB_MATCH_NOT_EQUAL, .name = SX_STR("a"), .value = SX_STR("b")};
    sx_status status = TSDB_BLOCK_OPS.select(&b.source, &HINTS, &m, 1, &arena, &found, NULL, &err);
    sx_assert(status == SX_OK || err.message[0] != '\0');
    for (size_t i = 0; i < found.count; i++)
        (void)TSDB_BLOCK_OPS.read(&b.source, found.items[i].handle[0], INT64_MIN, INT64_MAX, &c,
                                  &err);
    (void)TSDB_BLOCK_OPS.names(&b.source, &arena, &texts, &count, &err);
    for (size_t i = 0, n = count; i < n; i++) {
        sx_str *values = NULL;
        size_t value_count = 0;
        (void)TSDB_BLOCK_OPS.values(&b.source, texts[i], &arena, &values, &value_count, &err);
    }
    tsdb_columns_done(&c);
    sx_arena_done(&arena);
    tsdb_index_close(&b.index);
    pthread_rwlock_destroy(&b.stones_lock);
}

static void use_stones(uint8_t *data, size_t size)
{
    tsdb_stones s, again;
    sx_buf out;
    sx_error err = {0};
    if (size >= 9) {
        put_be32(data, 0x0130BA30);
        data[4] = 1;
        put_be32(data + size - 4, sx_crc32c(0, data + 5, size - 9));
    }
    if (tsdb_stones_read(&s, sx_str_of(data, size), &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
        return;
    }
    sx_buf_init(&out, 0);
    sx_assert(tsdb_stones_print(&s, &out, &err) == SX_OK);
    sx_assert(tsdb_stones_read(&again, sx_buf_view(&out), &err) == SX_OK);
    sx_assert(again.count == s.count);
    for (size_t i = 0; i < s.count; i++)
        sx_assert(again.items[i].id == s.items[i].id && again.items[i].min_t == s.items[i].min_t);
    sx_buf_done(&out);
    sx_free(s.items);
    sx_free(again.items);
}

static void use_meta(sx_str text)
{
    tsdb_block_meta m, again;
    sx_buf out;
    sx_error err = {0};
    if (tsdb_block_meta_read(&m, text, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
        return;
    }
    sx_buf_init(&out, 0);
    sx_assert(tsdb_block_meta_print(&m, &out, &err) == SX_OK);
    sx_assert(tsdb_block_meta_read(&again, sx_buf_view(&out), &err) == SX_OK);
    sx_assert(again.min_t == m.min_t && again.source_count == m.source_count &&
              again.parent_count == m.parent_count && again.samples == m.samples);
    tsdb_block_meta_done(&m);
    tsdb_block_meta_done(&again);
    sx_buf_done(&out);
}

/* Histograms: what is read packs again, and reads the same number of samples. */
static void use_chunk(tsdb_encoding e, sx_str bytes)
{
    tsdb_columns c, again;
    tsdb_packed packed;
    sx_arena arena;
    sx_error err = {0};
    tsdb_pack_options options = {.xor2 = e >= TSDB_CHUNK_XOR2};
    sx_arena_init(&arena, 0, 64 << 20);
    tsdb_columns_init(&c, &arena);
    tsdb_columns_init(&again, &arena);
    if (tsdb_chunk_read(e, bytes, INT64_MIN, INT64_MAX, &c, &err) != SX_OK)
        sx_assert(err.message[0] != '\0');
    for (size_t at = 0; at < c.count;) {
        size_t before = at;
        if (tsdb_chunk_pack(&c, &at, &options, &arena, &packed, &err) != SX_OK)
            break;
        sx_assert(at > before && packed.count == at - before);
        again.count = 0;
        sx_assert(tsdb_chunk_read(packed.encoding, packed.bytes, INT64_MIN, INT64_MAX, &again,
                                  &err) == SX_OK ||
                  err.status == SX_ENOMEM);
    }
    tsdb_columns_done(&c);
    tsdb_columns_done(&again);
    sx_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 1 << 16)
        return 0;
    uint8_t kind = data[0];
    uint8_t *copy = malloc(size - 1);
    memcpy(copy, data + 1, size - 1);
    size--;
    if (kind % 4 == 0) {
        char path[] = "/tmp/fuzz-index-XXXXXX";
        int fd = mkstemp(path);
        mend_index(copy, size);
        if (fd >= 0 && write(fd, copy, size) == (ssize_t)size)
            use_index(path);
        close(fd);
        unlink(path);
    } else if (kind % 4 == 1) {
        use_stones(copy, size);
    } else if (kind % 4 == 2) {
        use_meta(sx_str_of(copy, size));
    } else {
        use_chunk((tsdb_encoding)(1 + kind / 4 % 6), sx_str_of(copy, size));
    }
    free(copy);
    return 0;
}
