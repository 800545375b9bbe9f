/* room.c - where the places of a build lie: on the heap, and beyond its share of the memory in files
 * without a name, which are mapped.
 *
 * A country's places with all their tags take more than the memory that an import is given. What is
 * worked on lies together, since places are made and visited in the order of the data, so the kernel
 * may write out the rest and read it back. Space is taken from the disk before it is mapped: a full
 * disk is an error and not a signal. */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <sextant/mem.h>

#include "geocode/places/build_impl.h"

enum {
    EXTENT_BYTES = 16 << 20,
    LOW_BYTES = 1 << 20, /* a worker with less is given more before it begins a piece */
    PLACES_SHARE = 8,    /* of the memory, for the records of places */
    LISTS_SHARE = 4,     /* for tags, names, lines and shapes */
};

sx_status bld_room_init(bld_room *r, const char *folder, size_t memory_max, sx_error *err)
{
    *r = (bld_room){.memory_max = memory_max ? memory_max : SIZE_MAX};
    bool good = geo_temp_init(&r->temp, folder, 0);
    r->lists = r->places = (geo_temp_file){.temp = &r->temp, .fd = -1};
    (void)pthread_mutex_init(&r->lock, NULL);
    return good ? SX_OK : sx_fail_memory(err, "the places of the data");
}

void bld_room_done(bld_room *r)
{
    for (size_t i = 0; i < r->extent_count; i++)
        (void)munmap(r->extents[i], EXTENT_BYTES);
    sx_free(r->extents);
    if (r->places_map)
        (void)munmap(r->places_map, r->places.bytes);
    geo_temp_close(&r->lists);
    geo_temp_close(&r->places);
    geo_temp_done(&r->temp);
    (void)pthread_mutex_destroy(&r->lock);
}

/* Makes the file longer. Its new part is the disk's, whatever is written there. */
static sx_status lengthen(bld_room *r, geo_temp_file *f, uint64_t bytes, sx_error *err)
{
    sx_status status = geo_temp_write(f, "", 0, err); /* makes it */
    if (status != SX_OK)
        return status;
    int why = posix_fallocate(f->fd, (off_t)f->bytes, (off_t)(bytes - f->bytes));
    if (why)
        return sx_fail_os(err, why,
                          "no space for the places of the data in folder %s, which needs %llu MB "
                          "more: give another with --temp, or more memory",
                          r->temp.folder, (unsigned long long)((bytes - f->bytes) >> 20));
    r->temp.disk_bytes += bytes - f->bytes;
    f->bytes = bytes;
    return SX_OK;
}

static sx_status take_extent(bld_room *r, sx_arena *arena, sx_error *err)
{
    uint64_t from = r->lists.bytes;
    if (!sx_grow(&r->extents, &r->extent_cap, r->extent_count + 1, sizeof *r->extents))
        return sx_fail_memory(err, "the places of the data");
    sx_status status = lengthen(r, &r->lists, from + EXTENT_BYTES, err);
    if (status != SX_OK)
        return status;
    void *map =
        mmap(NULL, EXTENT_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, r->lists.fd, (off_t)from);
    if (map == MAP_FAILED)
        return sx_fail_os(err, errno, "mapping a temporary file");
    r->extents[r->extent_count++] = map;
    arena->at = map;
    arena->end = arena->at + EXTENT_BYTES;
    return SX_OK;
}

sx_status bld_room_for(bld *b, bld_worker *w, sx_error *err)
{
    bld_room *r = &b->room;
    if (!r->temp.folder || (size_t)(w->arena.end - w->arena.at) >= LOW_BYTES ||
        w->arena.used_bytes < r->memory_max / LISTS_SHARE / b->worker_count)
        return SX_OK;
    (void)pthread_mutex_lock(&r->lock);
    sx_status status = take_extent(r, &w->arena, err);
    (void)pthread_mutex_unlock(&r->lock);
    return status;
}

sx_status bld_places_grow(bld *b, size_t need, sx_error *err)
{
    bld_room *r = &b->room;
    const size_t one = sizeof *b->places.items;
    if (need <= b->places.cap)
        return SX_OK;
    if (!r->temp.folder || (!r->places_map && need * one <= r->memory_max / PLACES_SHARE)) {
        return sx_grow(&b->places.items, &b->places.cap, need, one)
                   ? SX_OK
                   : sx_fail_memory(err, "the places of the data");
    }
    uint64_t had = r->places.bytes, wanted = (uint64_t)need * one;
    if (wanted < had + had / 4)
        wanted = had + had / 4;
    wanted = (wanted + EXTENT_BYTES - 1) / EXTENT_BYTES * EXTENT_BYTES;
    sx_status status = lengthen(r, &r->places, wanted, err);
    if (status != SX_OK)
        return status;
    void *map = r->places_map
                    ? mremap(r->places_map, had, wanted, MREMAP_MAYMOVE)
                    : mmap(NULL, wanted, PROT_READ | PROT_WRITE, MAP_SHARED, r->places.fd, 0);
    if (map == MAP_FAILED) {
        r->places.bytes = had; /* as far as it is mapped */
        return sx_fail_os(err, errno, "mapping a temporary file");
    }
    if (!r->places_map) {
        if (b->places.count)
            memcpy(map, b->places.items, b->places.count * one);
        sx_free(b->places.items);
    }
    r->places_map = map;
    b->places.items = map;
    b->places.cap = wanted / one;
    return SX_OK;
}
