/* profile_heap.c - what lib/base/heap_profile.c has sampled, as profile.proto and as Go's text. */
#include <sextant/profile.h>

#include <inttypes.h>
#include <stdlib.h>

#include <sextant/clock.h>

#include "base/heap_profile.h"
#include "telemetry/profile_proto.h"

typedef struct sites {
    sx_arena arena;
    sx_heap_site *items;
    size_t count, cap;
    bool starved;
} sites;

void sx_profile_heap_set(uint64_t mean_bytes)
{
    sx_heap_profile_set(mean_bytes);
}

uint64_t sx_profile_heap_mean(void)
{
    return sx_heap_profile_mean();
}

static void add_site(void *ctx, const sx_heap_site *site)
{
    sites *s = (sites *)ctx;
    s->starved |= !sx_arena_grow(&s->arena, &s->items, &s->cap, s->count + 1, sizeof(*site));
    if (!s->starved)
        s->items[s->count++] = *site;
}

/* Why the numbers are what they are. */
static sx_str comment_of(sites *s)
{
    uint64_t mean = sx_heap_profile_mean(), lost = sx_heap_lost();
    if (mean == 0 && s->count == 0)
        return SX_STR("The heap is not sampled: set profile.heap_bytes, such as 512KiB, or call "
                      "sx_profile_heap_set().");
    if (mean == 0)
        return SX_STR("The heap is not sampled any more: later allocations are not in here.");
    if (lost)
        return sx_arena_printf(&s->arena, "%" PRIu64 " samples were lost for want of memory.",
                               lost);
    return (sx_str){0};
}

/* ---- profile.proto ---- */

static sx_status encode(sites *s, bool allocs, sx_buf *out, sx_error *err)
{
    sx_profile_sample *samples =
        (sx_profile_sample *)sx_arena_calloc(&s->arena, s->count + 1, sizeof(*samples));
    if (!samples)
        return sx_fail_memory(err, "the profile");
    for (size_t i = 0; i < s->count; i++) {
        const sx_heap_site *site = &s->items[i];
        samples[i] = (sx_profile_sample){
            .pcs = site->pcs,
            .depth = site->depth,
            .values = {site->alloc_objects, site->alloc_bytes, site->inuse_objects,
                       site->inuse_bytes},
        };
    }
    sx_profile profile = {
        .values = {{SX_STR("alloc_objects"), SX_STR("count")},
                   {SX_STR("alloc_space"), SX_STR("bytes")},
                   {SX_STR("inuse_objects"), SX_STR("count")},
                   {SX_STR("inuse_space"), SX_STR("bytes")}},
        .value_count = 4,
        .default_value = allocs ? SX_STR("alloc_space") : SX_STR("inuse_space"),
        .period_of = {SX_STR("space"), SX_STR("bytes")},
        .period = (int64_t)sx_heap_profile_mean(),
        .wall_ns = sx_clock_ns(sx_clock_system()),
        /* The allocator itself is in every stack and says nothing. */
        .drop_frames = SX_STR("sx_alloc|sx_calloc|sx_realloc|resize_watched|given|sx_heap_sample"),
        .comment = comment_of(s),
        .samples = samples,
        .sample_count = s->count,
    };
    return sx_profile_encode(&profile, out, err);
}

/* ---- text ---- */

static int by_bytes(const void *a, const void *b)
{
    int64_t left = ((const sx_heap_site *)a)->inuse_bytes;
    int64_t right = ((const sx_heap_site *)b)->inuse_bytes;
    return (right > left) - (right < left);
}

static void put_sums(sx_buf *out, const sx_heap_site *site)
{
    sx_buf_printf(out, "%" PRId64 ": %" PRId64 " [%" PRId64 ": %" PRId64 "] @", site->inuse_objects,
                  site->inuse_bytes, site->alloc_objects, site->alloc_bytes);
}

static void put_site(sx_buf *out, const sx_heap_site *site, const sx_profile_place *places)
{
    put_sums(out, site);
    for (size_t i = 0; i < site->depth; i++)
        sx_buf_printf(out, " 0x%" PRIx64, (uint64_t)site->pcs[i]);
    sx_buf_byte(out, '\n');
    for (size_t i = 0; i < site->depth; i++) {
        sx_str file = places[i].module ? sx_str_z(places[i].module->path) : SX_STR("?");
        sx_str name = places[i].name.len ? places[i].name : SX_STR("?");
        sx_buf_printf(out, "#\t0x%" PRIx64 "\t%.*s+0x%" PRIx64 "\t%.*s\n", (uint64_t)site->pcs[i],
                      SX_ARG(name), places[i].name.len ? site->pcs[i] - places[i].start : 0,
                      SX_ARG(file));
    }
    sx_buf_byte(out, '\n');
}

/* Names of one stack's addresses, in the stack's order. */
static bool name_stack(sites *s, const sx_profile_place *all, size_t count,
                       const sx_heap_site *site, sx_profile_place **out)
{
    *out = (sx_profile_place *)sx_arena_calloc(&s->arena, site->depth + 1, sizeof(**out));
    if (!*out)
        return false;
    for (size_t i = 0; i < site->depth; i++) {
        sx_profile_place key = {.address = site->pcs[i] - 1};
        (*out)[i] = *(const sx_profile_place *)bsearch(&key, all, count, sizeof(key),
                                                       sx_profile_place_compare);
    }
    return true;
}

/* "@ heapprofile" tells pprof that nothing has to be scaled. */
static sx_status put_text(sites *s, sx_buf *out, sx_error *err)
{
    size_t most = 0, count = 0;
    sx_heap_site all = {0};
    for (size_t i = 0; i < s->count; i++) {
        most += s->items[i].depth;
        all.alloc_objects += s->items[i].alloc_objects;
        all.alloc_bytes += s->items[i].alloc_bytes;
        all.inuse_objects += s->items[i].inuse_objects;
        all.inuse_bytes += s->items[i].inuse_bytes;
    }
    sx_module *modules = (sx_module *)sx_arena_calloc(&s->arena, SX_MODULES_MOST, sizeof(*modules));
    sx_profile_place *places =
        (sx_profile_place *)sx_arena_calloc(&s->arena, most + 1, sizeof(*places));
    if (!modules || !places)
        return sx_fail_memory(err, "the profile");
    size_t module_count = sx_modules_list(modules, SX_MODULES_MOST);
    for (size_t i = 0; i < s->count; i++)
        for (size_t k = 0; k < s->items[i].depth; k++)
            places[count++].address = s->items[i].pcs[k] - 1;
    qsort(places, count, sizeof(*places), sx_profile_place_compare);
    if (!sx_profile_places(&s->arena, modules, module_count, places, count))
        return sx_fail_memory(err, "the profile");
    qsort(s->items, s->count, sizeof(*s->items), by_bytes);
    sx_buf_printf(out, "heap profile: ");
    put_sums(out, &all);
    sx_buf_printf(out, " heapprofile\n");
    for (size_t i = 0; i < s->count; i++) {
        sx_profile_place *named;
        if (!name_stack(s, places, count, &s->items[i], &named))
            return sx_fail_memory(err, "the profile");
        put_site(out, &s->items[i], named);
    }
    sx_str comment = comment_of(s);
    sx_buf_printf(out, "# sample_bytes = %" PRIu64 "\n%s%.*s\n", sx_heap_profile_mean(),
                  comment.len ? "# " : "", SX_ARG(comment));
    sx_buf_printf(out, "MAPPED_LIBRARIES:\n");
    for (size_t i = 0; i < module_count; i++)
        sx_buf_printf(out, "%08" PRIxPTR "-%08" PRIxPTR " r-xp %08" PRIx64 " 00:00 0 %s\n",
                      modules[i].code_start, modules[i].code_end, modules[i].code_offset,
                      modules[i].path);
    return sx_buf_status(out, "the profile", err);
}

sx_status sx_profile_heap(sx_profile_heap_form form, sx_buf *out, sx_error *err)
{
    sites s = {0};
    size_t len_before = out->len;
    sx_arena_init(&s.arena, 65536, 0);
    sx_heap_sites(add_site, &s);
    sx_status status = s.starved ? sx_fail_memory(err, "the profile")
                       : form == SX_PROFILE_HEAP_TEXT
                           ? put_text(&s, out, err)
                           : encode(&s, form == SX_PROFILE_HEAP_ALLOCS, out, err);
    if (status)
        out->len = len_before;
    sx_arena_done(&s.arena);
    return status;
}
