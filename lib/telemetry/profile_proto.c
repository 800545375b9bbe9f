/* profile_proto.c - see profile_proto.h. First every address that occurs becomes a location, then all
 * are sorted and named at once, then the messages are written one after the other; strings and
 * functions get their numbers as they are first met, and their tables come last. */
#include "telemetry/profile_proto.h"

#include <stdlib.h>

#include <sextant/compress.h>
#include <sextant/map.h>
#include <sextant/protobuf.h>

/* Fields of profile.proto. */
enum {
    PROFILE_SAMPLE_TYPE = 1,
    PROFILE_SAMPLE,
    PROFILE_MAPPING,
    PROFILE_LOCATION,
    PROFILE_FUNCTION,
    PROFILE_STRINGS,
    PROFILE_DROP_FRAMES,
    PROFILE_TIME_NANOS = 9,
    PROFILE_DURATION_NANOS,
    PROFILE_PERIOD_TYPE,
    PROFILE_PERIOD,
    PROFILE_COMMENT,
    PROFILE_DEFAULT_TYPE
};
enum { VALUE_TYPE = 1, VALUE_UNIT };
enum { SAMPLE_LOCATIONS = 1, SAMPLE_VALUES, SAMPLE_LABEL };
enum { LABEL_KEY = 1, LABEL_TEXT };
enum {
    MAPPING_ID = 1,
    MAPPING_START,
    MAPPING_END,
    MAPPING_OFFSET,
    MAPPING_FILE,
    MAPPING_BUILD_ID,
    MAPPING_HAS_FUNCTIONS
};
enum { LOCATION_ID = 1, LOCATION_MAPPING, LOCATION_ADDRESS, LOCATION_LINE };
enum { LINE_FUNCTION = 1 };
enum { FUNCTION_ID = 1, FUNCTION_NAME, FUNCTION_SYSTEM_NAME };

typedef struct encoding {
    const sx_profile *p;
    sx_arena arena;
    sx_module *modules;
    size_t module_count;
    sx_map64 locations; /* address to its number in `places`, and then in the profile */
    sx_profile_place *places;
    size_t place_count;
    sx_map strings; /* text to its index */
    sx_str *texts;  /* the same by index; [0] is empty */
    size_t text_cap;
    sx_map functions; /* name to its id */
    sx_buf out;
    bool starved;
} encoding;

static uint64_t text_of(encoding *e, sx_str s)
{
    size_t next = sx_map_count(&e->strings) + 1;
    bool added;
    if (s.len == 0)
        return 0;
    if (!sx_arena_grow(&e->arena, &e->texts, &e->text_cap, next + 1, sizeof(sx_str))) {
        e->starved = true;
        return 0;
    }
    sx_map_entry *entry = sx_map_put(&e->strings, s, &added);
    if (!entry) {
        e->starved = true;
        return 0;
    }
    if (added) {
        entry->u64 = next;
        e->texts[next] = s;
    }
    return entry->u64;
}

/* ---- addresses ---- */

/* The address that stands for frame `i`: a return address may be the next function's first byte. */
static uint64_t address_of(const sx_profile *p, const sx_profile_sample *s, size_t i)
{
    return s->pcs[i] - (p->first_exact && i == 0 ? 0 : 1);
}

/* How many frames of a sample are believed: code without frame pointers may have left anything in
 * their register, and after an address that is in no code nothing is. The innermost always counts. */
static size_t depth_of(const encoding *e, const sx_profile_sample *s)
{
    size_t depth = 0;
    while (depth < s->depth) {
        uintptr_t pc = (uintptr_t)address_of(e->p, s, depth);
        const sx_module *m = sx_module_find(e->modules, e->module_count, pc);
        if (depth > 0 && (!m || pc < m->code_start || pc >= m->code_end))
            break;
        depth++;
    }
    return depth;
}

static bool find_places(encoding *e)
{
    for (size_t i = 0; i < e->p->sample_count; i++) {
        const sx_profile_sample *s = &e->p->samples[i];
        for (size_t k = depth_of(e, s); k-- > 0;)
            if (!sx_map64_put(&e->locations, address_of(e->p, s, k), NULL))
                return false;
    }
    size_t count = sx_map64_count(&e->locations), cursor = 0;
    e->places = (sx_profile_place *)sx_arena_calloc(&e->arena, count + 1, sizeof(*e->places));
    if (!e->places)
        return false;
    for (sx_map64_entry *at; (at = sx_map64_next(&e->locations, &cursor));)
        e->places[e->place_count++].address = at->key;
    qsort(e->places, count, sizeof(*e->places), sx_profile_place_compare);
    for (size_t i = 0; i < count; i++)
        sx_map64_find(&e->locations, e->places[i].address)->u64 = i + 1; /* an id is never 0 */
    return sx_profile_places(&e->arena, e->modules, e->module_count, e->places, count);
}

/* ---- messages ---- */

static void put_value_type(encoding *e, uint32_t field, const sx_profile_value *v)
{
    size_t mark = sx_pb_begin(&e->out, field);
    sx_pb_put_u64(&e->out, VALUE_TYPE, text_of(e, v->type));
    sx_pb_put_u64(&e->out, VALUE_UNIT, text_of(e, v->unit));
    sx_pb_end(&e->out, mark);
}

static void put_sample(encoding *e, const sx_profile_sample *s)
{
    size_t depth = depth_of(e, s);
    size_t mark = sx_pb_begin(&e->out, PROFILE_SAMPLE);
    size_t list = sx_pb_begin(&e->out, SAMPLE_LOCATIONS);
    for (size_t i = 0; i < depth; i++)
        sx_pb_add_varint(&e->out, sx_map64_find(&e->locations, address_of(e->p, s, i))->u64);
    sx_pb_end(&e->out, list);
    list = sx_pb_begin(&e->out, SAMPLE_VALUES);
    for (size_t i = 0; i < e->p->value_count; i++)
        sx_pb_add_varint(&e->out, (uint64_t)s->values[i]);
    sx_pb_end(&e->out, list);
    if (s->thread.len > 0) {
        size_t label = sx_pb_begin(&e->out, SAMPLE_LABEL);
        sx_pb_put_u64(&e->out, LABEL_KEY, text_of(e, SX_STR("thread")));
        sx_pb_put_u64(&e->out, LABEL_TEXT, text_of(e, s->thread));
        sx_pb_end(&e->out, label);
    }
    sx_pb_end(&e->out, mark);
}

/* Whether all locations in it have names: pprof looks for no others then. */
static bool is_named(const encoding *e, const sx_module *m)
{
    for (size_t i = 0; i < e->place_count; i++)
        if (e->places[i].module == m && e->places[i].name.len == 0)
            return false;
    return true;
}

static sx_str hex_of(encoding *e, const sx_module *m)
{
    char *digits = (char *)sx_arena_alloc(&e->arena, 2 * SX_MODULE_BUILD_ID_BYTES);
    if (!digits) {
        e->starved = true;
        return (sx_str){0};
    }
    for (size_t i = 0; i < m->build_id_len; i++) {
        digits[2 * i] = "0123456789abcdef"[m->build_id[i] >> 4];
        digits[2 * i + 1] = "0123456789abcdef"[m->build_id[i] & 15];
    }
    return sx_str_of(digits, 2 * (size_t)m->build_id_len);
}

static void put_mapping(encoding *e, const sx_module *m)
{
    size_t mark = sx_pb_begin(&e->out, PROFILE_MAPPING);
    sx_pb_put_u64(&e->out, MAPPING_ID, (uint64_t)(m - e->modules) + 1);
    sx_pb_put_u64(&e->out, MAPPING_START, m->code_start);
    sx_pb_put_u64(&e->out, MAPPING_END, m->code_end);
    sx_pb_put_u64(&e->out, MAPPING_OFFSET, m->code_offset);
    sx_pb_put_u64(&e->out, MAPPING_FILE, text_of(e, sx_str_z(m->path)));
    sx_pb_put_u64(&e->out, MAPPING_BUILD_ID, text_of(e, hex_of(e, m)));
    sx_pb_put_u64(&e->out, MAPPING_HAS_FUNCTIONS, is_named(e, m));
    sx_pb_end(&e->out, mark);
}

/* The function's id; its message is written at its first location. */
static uint64_t function_of(encoding *e, sx_str name)
{
    bool added;
    sx_map_entry *entry = sx_map_put(&e->functions, name, &added);
    if (!entry) {
        e->starved = true;
        return 0;
    }
    if (!added)
        return entry->u64;
    uint64_t id = entry->u64 = sx_map_count(&e->functions);
    size_t mark = sx_pb_begin(&e->out, PROFILE_FUNCTION);
    sx_pb_put_u64(&e->out, FUNCTION_ID, id);
    sx_pb_put_u64(&e->out, FUNCTION_NAME, text_of(e, name));
    sx_pb_put_u64(&e->out, FUNCTION_SYSTEM_NAME, text_of(e, name));
    sx_pb_end(&e->out, mark);
    return id;
}

static void put_location(encoding *e, size_t index)
{
    const sx_profile_place *place = &e->places[index];
    uint64_t function = place->name.len ? function_of(e, place->name) : 0;
    size_t mark = sx_pb_begin(&e->out, PROFILE_LOCATION);
    sx_pb_put_u64(&e->out, LOCATION_ID, index + 1);
    if (place->module)
        sx_pb_put_u64(&e->out, LOCATION_MAPPING, (uint64_t)(place->module - e->modules) + 1);
    sx_pb_put_u64(&e->out, LOCATION_ADDRESS, place->address);
    if (function) {
        size_t line = sx_pb_begin(&e->out, LOCATION_LINE);
        sx_pb_put_u64(&e->out, LINE_FUNCTION, function);
        sx_pb_end(&e->out, line);
    }
    sx_pb_end(&e->out, mark);
}

static void put_profile(encoding *e)
{
    const sx_profile *p = e->p;
    for (size_t i = 0; i < p->value_count; i++)
        put_value_type(e, PROFILE_SAMPLE_TYPE, &p->values[i]);
    for (size_t i = 0; i < p->sample_count; i++)
        put_sample(e, &p->samples[i]);
    for (size_t i = 0; i < e->module_count; i++)
        if (e->modules[i].code_end) /* a file of data alone has no addresses to map */
            put_mapping(e, &e->modules[i]);
    for (size_t i = 0; i < e->place_count; i++)
        put_location(e, i);
    put_value_type(e, PROFILE_PERIOD_TYPE, &p->period_of);
    sx_pb_put_i64(&e->out, PROFILE_PERIOD, p->period);
    sx_pb_put_i64(&e->out, PROFILE_TIME_NANOS, p->wall_ns);
    sx_pb_put_i64(&e->out, PROFILE_DURATION_NANOS, p->duration_ns);
    sx_pb_put_u64(&e->out, PROFILE_DROP_FRAMES, text_of(e, p->drop_frames));
    sx_pb_put_u64(&e->out, PROFILE_DEFAULT_TYPE, text_of(e, p->default_value));
    if (p->comment.len)
        sx_pb_put_u64(&e->out, PROFILE_COMMENT, text_of(e, p->comment));
    for (size_t i = 0; i <= sx_map_count(&e->strings); i++)
        sx_pb_put_str(&e->out, PROFILE_STRINGS, i ? e->texts[i] : (sx_str){0});
}

sx_status sx_profile_encode(const sx_profile *p, sx_buf *out, sx_error *err)
{
    size_t len_before = out->len;
    encoding e = {.p = p};
    sx_arena_init(&e.arena, 0, 0);
    sx_map64_init(&e.locations, &e.arena);
    sx_map_init(&e.strings, &e.arena);
    sx_map_init(&e.functions, &e.arena);
    sx_buf_init(&e.out, 0);
    e.modules = (sx_module *)sx_arena_calloc(&e.arena, SX_MODULES_MOST, sizeof(sx_module));
    sx_status status = SX_OK;
    if (e.modules) {
        e.module_count = sx_modules_list(e.modules, SX_MODULES_MOST);
        e.starved = !find_places(&e);
    }
    if (e.modules && !e.starved)
        put_profile(&e);
    if (!e.modules || e.starved || e.out.failed)
        status = sx_fail_memory(err, "the profile");
    if (status == SX_OK)
        status = sx_compress(SX_CODEC_GZIP, sx_buf_view(&e.out), SX_LEVEL_DEFAULT, out, err);
    if (status)
        out->len = len_before;
    sx_buf_done(&e.out);
    sx_arena_done(&e.arena);
    return status;
}
