/* store.c - see store.h. */
#include "geocode/osm/store.h"

#include <errno.h>
#include <sys/mman.h>

#include <sextant/mem.h>

enum { ALIGN = 8 };

void osm_store_init(osm_store *s, geo_temp *temp, size_t memory_max)
{
    *s = (osm_store){.temp = temp, .memory_max = memory_max};
    s->file = (geo_temp_file){.temp = temp, .fd = -1};
    (void)pthread_mutex_init(&s->lock, NULL);
}

void osm_store_done(osm_store *s)
{
    for (size_t i = 0; i < s->count; i++)
        if (!s->chunks[i].in_file)
            sx_free(s->chunks[i].data);
    sx_free(s->chunks);
    if (s->map)
        (void)munmap(s->map, s->map_bytes);
    geo_temp_close(&s->file);
    (void)pthread_mutex_destroy(&s->lock);
}

void osm_chunk_writer_done(osm_chunk_writer *w)
{
    sx_buf_done(&w->buf);
    w->open = false;
}

sx_status osm_store_begin(osm_store *s, osm_chunk_writer *w, sx_error *err)
{
    if (w->open)
        return SX_OK;
    (void)pthread_mutex_lock(&s->lock);
    bool room =
        s->count < UINT32_MAX &&
        (s->count < s->cap || sx_grow(&s->chunks, &s->cap, s->count + 1, sizeof(*s->chunks)));
    if (room) {
        w->number = (uint32_t)s->count;
        s->chunks[s->count++] = (osm_chunk){0};
        w->open = true;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return room ? SX_OK : sx_fail_memory(err, "chunks");
}

/* Puts the writer's bytes where there is room. Under the lock, as chunks[] may move. */
static sx_status keep(osm_store *s, osm_chunk_writer *w, sx_error *err)
{
    osm_chunk *c = &s->chunks[w->number];
    c->len = (uint32_t)w->buf.len;
    if (w->buf.len == 0)
        return SX_OK;
    if (s->temp->folder && s->memory + w->buf.len > s->memory_max) {
        c->in_file = true;
        c->offset = s->file.bytes;
        return geo_temp_write(&s->file, w->buf.data, w->buf.len, err);
    }
    char *own = sx_realloc(w->buf.data, w->buf.len); /* shorter */
    c->data = own ? own : w->buf.data;
    s->memory += w->buf.len;
    size_t len_max = w->buf.len_max;
    sx_buf_init(&w->buf, len_max);
    return SX_OK;
}

sx_status osm_store_end(osm_store *s, osm_chunk_writer *w, bool last, sx_error *err)
{
    sx_status status = sx_buf_status(&w->buf, "map data", err);
    if (status != SX_OK || !w->open || (w->buf.len < OSM_CHUNK_BYTES && !last))
        return status;
    if (w->buf.len > UINT32_MAX)
        return sx_fail(err, SX_ELIMIT, "an object of more than 4 GiB");
    while (w->buf.len % ALIGN) /* the next one in the file is aligned, too */
        sx_buf_byte(&w->buf, 0);
    status = sx_buf_status(&w->buf, "map data", err);
    if (status != SX_OK)
        return status;
    (void)pthread_mutex_lock(&s->lock);
    status = keep(s, w, err);
    (void)pthread_mutex_unlock(&s->lock);
    sx_buf_clear(&w->buf);
    w->open = false;
    return status;
}

sx_status osm_store_map(osm_store *s, sx_error *err)
{
    if (s->map) {
        (void)munmap(s->map, s->map_bytes);
        s->map = NULL;
    }
    if (s->file.bytes) {
        void *map = mmap(NULL, s->file.bytes, PROT_READ, MAP_SHARED, s->file.fd, 0);
        if (map == MAP_FAILED)
            return sx_fail_os(err, errno, "mapping a temporary file");
        s->map = map;
        s->map_bytes = s->file.bytes;
    }
    for (size_t i = 0; i < s->count; i++)
        if (s->chunks[i].in_file)
            s->chunks[i].data = s->map + s->chunks[i].offset;
    return SX_OK;
}

void osm_store_drop(osm_store *s, uint32_t number)
{
    osm_chunk *c = &s->chunks[number];
    if (c->in_file || !c->data)
        return;
    s->memory -= c->len;
    sx_free(c->data);
    *c = (osm_chunk){0};
}

uint64_t osm_store_bytes(const osm_store *s)
{
    return s->memory + s->file.bytes;
}
