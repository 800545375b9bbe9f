/* region.c - address space that fills from the front; see region.h. */
#include "observe/tsdb/region.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>

enum { RESERVE_LEAST = 1 << 20, COMMIT_STEP = 256 << 10, SMALL_CLASSES = 8 };

sx_status tsdb_region_init(tsdb_region *r, uint64_t reserve_bytes, sx_error *err)
{
    *r = (tsdb_region){.used = 64}; /* handle 0 is none; a cache line is kept whole */
    for (uint64_t bytes = reserve_bytes; bytes >= RESERVE_LEAST; bytes /= 2) {
        void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p != MAP_FAILED) {
            r->base = p;
            r->reserved = bytes;
            return SX_OK;
        }
    }
    return sx_fail_os(err, errno, "cannot reserve address space for a shard of the head");
}

void tsdb_region_done(tsdb_region *r)
{
    if (r->base)
        munmap(r->base, r->reserved);
    *r = (tsdb_region){0};
}

bool tsdb_region_commit(tsdb_region *r, uint64_t bytes)
{
    if (sx_likely(bytes <= r->committed))
        return true;
    if (bytes > r->reserved || (r->bytes_max && bytes > r->bytes_max))
        return false;
    uint64_t to = (bytes + COMMIT_STEP - 1) / COMMIT_STEP * COMMIT_STEP;
    if (to > r->reserved)
        to = r->reserved;
    if (mprotect(r->base + r->committed, to - r->committed, PROT_READ | PROT_WRITE) != 0)
        return false;
    r->committed = to;
    return true;
}

/* Classes 1 to 8 are multiples of 8 bytes; behind them each octave has four. */
static unsigned class_of(size_t bytes, size_t *size)
{
    size_t granules = bytes ? (bytes + TSDB_REGION_GRANULE - 1) / TSDB_REGION_GRANULE : 1;
    if (granules <= SMALL_CLASSES) {
        *size = granules * TSDB_REGION_GRANULE;
        return (unsigned)granules - 1;
    }
    unsigned octave = 63u - (unsigned)__builtin_clzll(granules - 1); /* 3 and up */
    size_t step = (size_t)1 << (octave - 2);
    size_t quarter = (granules - 1 - ((size_t)1 << octave)) / step;
    *size = (((size_t)1 << octave) + (quarter + 1) * step) * TSDB_REGION_GRANULE;
    return SMALL_CLASSES + (octave - 3) * 4 + (unsigned)quarter;
}

size_t tsdb_region_size(size_t bytes)
{
    size_t size;
    class_of(bytes, &size);
    return size;
}

tsdb_handle tsdb_region_alloc(tsdb_region *r, size_t bytes)
{
    size_t size;
    unsigned class = class_of(bytes, &size);
    if (sx_unlikely(class >= TSDB_REGION_CLASSES))
        return 0;
    tsdb_handle h = r->free[class];
    if (h) {
        memcpy(&r->free[class], tsdb_region_at(r, h), sizeof h);
    } else {
        if (sx_unlikely(!tsdb_region_commit(r, r->used + size)))
            return 0;
        h = (tsdb_handle)(r->used / TSDB_REGION_GRANULE);
        r->used += size;
    }
    r->live += size;
    return h;
}

void tsdb_region_free(tsdb_region *r, tsdb_handle h, size_t bytes)
{
    if (!h)
        return;
    size_t size;
    unsigned class = class_of(bytes, &size);
    memcpy(tsdb_region_at(r, h), &r->free[class], sizeof h);
    r->free[class] = h;
    r->live -= size;
}

bool tsdb_region_adopt(tsdb_region *r, int fd, uint64_t offset, uint64_t bytes)
{
    enum { PAGE = 4096 };
    uint64_t len = (bytes + PAGE - 1) / PAGE * PAGE;
    if (bytes == 0)
        return true;
    if (len > r->reserved || r->committed ||
        mmap(r->base, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, (off_t)offset) ==
            MAP_FAILED)
        return false;
    r->committed = len;
    return true;
}

void tsdb_region_own(tsdb_region *r, uint64_t at, uint64_t bytes)
{
#ifdef MADV_POPULATE_WRITE
    if (at < r->committed)
        (void)madvise(r->base + at, bytes < r->committed - at ? bytes : r->committed - at,
                      MADV_POPULATE_WRITE);
#else
    (void)r, (void)at, (void)bytes;
#endif
}
