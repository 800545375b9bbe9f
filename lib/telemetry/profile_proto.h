/* profile_proto.h - samples with call stacks, written as pprof's profile.proto.
 *
 * Addresses become locations with the function they lie in, by the symbol tables of the files that are
 * mapped now. Used by profile_cpu.c and profile_heap.c; profile_text.c asks for names alone. Source:
 * github.com/google/pprof, proto/profile.proto. */
#ifndef SEXTANT_TELEMETRY_PROFILE_PROTO_H
#define SEXTANT_TELEMETRY_PROFILE_PROTO_H

#include <sextant/arena.h>
#include <sextant/buf.h>

#include "telemetry/modules.h"

enum { SX_PROFILE_VALUES = 4 };

typedef struct sx_profile_sample {
    const uintptr_t
        *pcs; /* innermost first; but for an exact first one they are return addresses */
    size_t depth;
    int64_t values[SX_PROFILE_VALUES];
    sx_str thread; /* label; empty: none */
} sx_profile_sample;

typedef struct sx_profile_value {
    sx_str type, unit;
} sx_profile_value;

typedef struct sx_profile {
    sx_profile_value values[SX_PROFILE_VALUES]; /* of each sample */
    size_t value_count;
    sx_str default_value; /* a type: what is shown first */
    sx_profile_value period_of;
    int64_t period;
    int64_t wall_ns, duration_ns;
    bool first_exact;   /* the first address of a sample is the instruction itself */
    sx_str drop_frames; /* regular expression of functions not to show, and what they call */
    sx_str comment;
    const sx_profile_sample *samples;
    size_t sample_count;
} sx_profile;

/* Appends the profile, gzipped. Errors: SX_ENOMEM; what was appended is taken back. */
sx_status sx_profile_encode(const sx_profile *p, sx_buf *out, sx_error *err);

/* One address and what is known of it. */
typedef struct sx_profile_place {
    uint64_t address;
    const sx_module *module; /* NULL: none */
    sx_str name;             /* empty: not known; else in the arena */
    uint64_t start;          /* of the function, as an address of the process */
} sx_profile_place;

/* Their order, for qsort and bsearch. */
int sx_profile_place_compare(const void *a, const void *b);

/* Finds modules and names of `places`, which are sorted by address. False without memory. */
bool sx_profile_places(sx_arena *arena, const sx_module *modules, size_t module_count,
                       sx_profile_place *places, size_t count);

#endif
