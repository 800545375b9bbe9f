/* osm_fixture.c - see osm_fixture.h. */
#include "osm_fixture.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sextant/compress.h>
#include <sextant/hash.h>

enum { SLOTS = 10 };

const char *osm_test_file(unsigned slot, sx_str bytes)
{
    static int files[SLOTS];
    static char paths[SLOTS][40];
    assert_true(slot < SLOTS);
    if (files[slot] == 0) {
        files[slot] = memfd_create("osm", MFD_CLOEXEC);
        (void)snprintf(paths[slot], sizeof(paths[slot]), "/proc/self/fd/%d", files[slot]);
    }
    assert_true(files[slot] > 0);
    assert_int_equal(ftruncate(files[slot], 0), 0);
    assert_int_equal(pwrite(files[slot], bytes.data, bytes.len, 0), (ssize_t)bytes.len);
    return paths[slot];
}

static uint64_t hash_text(uint64_t hash, sx_str s)
{
    return sx_hash_bytes(s.data, s.len, hash * 31 + s.len);
}

uint64_t osm_test_hash(const osm_object *o)
{
    uint64_t h = sx_hash_u64((uint64_t)o->id, (uint64_t)o->kind * 2 + o->deleted);
    h = sx_hash_u64(o->version, h);
    h = sx_hash_u64((uint64_t)o->changed_ms, h);
    h = sx_hash_u64((uint64_t)(uint32_t)o->lon_e7 << 32 | (uint32_t)o->lat_e7, h);
    for (uint32_t i = 0; i < o->ref_count; i++)
        h = sx_hash_u64((uint64_t)o->refs[i], h);
    for (uint32_t i = 0; i < o->member_count; i++) {
        h = sx_hash_u64((uint64_t)o->members[i].ref, h + o->members[i].kind);
        h = hash_text(h, o->members[i].role);
    }
    for (uint32_t i = 0; i < o->tag_count; i++)
        h = hash_text(hash_text(h, o->tags[i].key), o->tags[i].value);
    return h;
}

/* Without memory of its own: tests count what readers take. */
typedef struct text {
    char *at, *end;
} text;

static void SX_PRINTF(2, 3) put(text *t, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(t->at, (size_t)(t->end - t->at), fmt, args);
    va_end(args);
    t->at = n < t->end - t->at ? t->at + n : t->end - 1;
}

void osm_test_describe(const osm_object *o, char *out, size_t cap)
{
    text t = {out, out + cap};
    put(&t, "%s%s %" PRId64 " v%u", o->deleted ? "no " : "", osm_kind_name(o->kind), o->id,
        o->version);
    if (o->kind == OSM_NODE && !o->deleted)
        put(&t, " at %d,%d", o->lon_e7, o->lat_e7);
    for (uint32_t i = 0; i < o->ref_count && i < 8; i++)
        put(&t, " %" PRId64, o->refs[i]);
    for (uint32_t i = 0; i < o->member_count; i++)
        put(&t, " %c%" PRId64 "(%.*s)", *osm_kind_name(o->members[i].kind), o->members[i].ref,
            SX_ARG(o->members[i].role));
    for (uint32_t i = 0; i < o->tag_count && i < 8; i++)
        put(&t, " %.*s=%.*s", SX_ARG(o->tags[i].key), SX_ARG(o->tags[i].value));
}

sx_status osm_test_batch(void *ctx, const osm_batch *batch, sx_error *err)
{
    osm_seen *seen = ctx;
    (void)err;
    for (size_t i = 0; i < batch->count; i++)
        atomic_fetch_add(&seen->hash, osm_test_hash(&batch->objects[i]));
    atomic_fetch_add(&seen->objects, batch->count);
    atomic_fetch_add(&seen->places, batch->places.count);
    return SX_OK;
}

/* For readers of one thread and ordered ones. */
static sx_status watch_batch(void *ctx, const osm_batch *batch, sx_error *err)
{
    osm_seen *seen = ctx;
    seen->fell |= batch->block < seen->last_block;
    seen->last_block = batch->block;
    if (batch->count) {
        seen->last = batch->objects[batch->count - 1];
        osm_test_describe(&batch->objects[batch->count - 1], seen->text, sizeof(seen->text));
    }
    return osm_test_batch(ctx, batch, err);
}

sx_status osm_test_read(osm_seen *seen, const char *path, osm_read_options options)
{
    *seen = (osm_seen){0};
    options.path = path;
    options.batch = options.ordered || options.threads == 1 ? watch_batch : osm_test_batch;
    options.ctx = seen;
    options.report = &seen->report;
    options.header = &seen->header;
    return osm_read(&options, &seen->err);
}

void osm_test_blob(sx_buf *out, const char *type, sx_str plain, uint32_t field)
{
    sx_buf blob, packed, head;
    sx_buf_init(&blob, 0);
    sx_buf_init(&packed, 0);
    sx_buf_init(&head, 0);
    if (field == 3)
        assert_int_equal(sx_compress(SX_CODEC_ZLIB, plain, 0, &packed, NULL), SX_OK);
    else if (field == 7)
        assert_int_equal(sx_compress(SX_CODEC_ZSTD, plain, 0, &packed, NULL), SX_OK);
    else
        sx_buf_str(&packed, plain);
    if (field != 1)
        sx_pb_put_u64(&blob, 2, plain.len);
    sx_pb_put_str(&blob, field, sx_buf_view(&packed));
    sx_pb_put_str(&head, 1, sx_str_z(type));
    sx_pb_put_u64(&head, 3, blob.len);
    const char length[4] = {0, 0, (char)(head.len >> 8), (char)head.len};
    sx_buf_bytes(out, length, sizeof(length));
    sx_buf_str(out, sx_buf_view(&head));
    sx_buf_str(out, sx_buf_view(&blob));
    assert_false(out->failed);
    sx_buf_done(&blob);
    sx_buf_done(&packed);
    sx_buf_done(&head);
}

void osm_test_header(sx_buf *out, const char *feature)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    sx_pb_put_str(&b, 4, SX_STR("OsmSchema-V0.6"));
    sx_pb_put_str(&b, 4, SX_STR("DenseNodes"));
    if (feature)
        sx_pb_put_str(&b, 4, sx_str_z(feature));
    sx_pb_put_str(&b, 16, SX_STR("a test"));
    osm_test_blob(out, "OSMHeader", sx_buf_view(&b), 3);
    sx_buf_done(&b);
}

void osm_test_block(sx_buf *out, const char *const *strings, sx_buf *group, uint32_t field)
{
    sx_buf b;
    sx_buf_init(&b, 0);
    size_t mark = sx_pb_begin(&b, 1);
    sx_pb_put_str(&b, 1, SX_STR(""));
    for (; *strings; strings++)
        sx_pb_put_str(&b, 1, sx_str_z(*strings));
    sx_pb_end(&b, mark);
    sx_pb_put_str(&b, 2, sx_buf_view(group));
    osm_test_blob(out, "OSMData", sx_buf_view(&b), field);
    sx_buf_done(&b);
    sx_buf_clear(group);
}

void osm_test_nodes(sx_buf *group, int64_t id, int64_t step, size_t count)
{
    sx_buf lists[3];
    for (int i = 0; i < 3; i++)
        sx_buf_init(&lists[i], 0);
    for (size_t i = 0; i < count; i++) {
        sx_pb_add_varint(&lists[0], sx_pb_zigzag_of(i ? step : id));
        sx_pb_add_varint(&lists[1], sx_pb_zigzag_of(i ? 11 : 470000000));
        sx_pb_add_varint(&lists[2], sx_pb_zigzag_of(i ? -7 : 95000000));
    }
    size_t mark = sx_pb_begin(group, 2);
    sx_pb_put_str(group, 1, sx_buf_view(&lists[0]));
    sx_pb_put_str(group, 8, sx_buf_view(&lists[1]));
    sx_pb_put_str(group, 9, sx_buf_view(&lists[2]));
    sx_pb_end(group, mark);
    for (int i = 0; i < 3; i++)
        sx_buf_done(&lists[i]);
}

void osm_test_way(sx_buf *group, int64_t id, uint32_t key, uint32_t value, const int64_t *refs,
                  size_t count)
{
    int64_t before = 0;
    size_t way = sx_pb_begin(group, 3);
    sx_pb_put_i64(group, 1, id);
    size_t mark = sx_pb_begin(group, 2);
    sx_pb_add_varint(group, key);
    sx_pb_end(group, mark);
    mark = sx_pb_begin(group, 3);
    sx_pb_add_varint(group, value);
    sx_pb_end(group, mark);
    mark = sx_pb_begin(group, 8);
    for (size_t i = 0; i < count; i++) {
        sx_pb_add_varint(group, sx_pb_zigzag_of(refs[i] - before));
        before = refs[i];
    }
    sx_pb_end(group, mark);
    sx_pb_end(group, way);
}
