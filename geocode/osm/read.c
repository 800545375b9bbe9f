/* read.c - see osm.h: opens the file, tells its format, and hands over batches. */
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>

#include <sextant/mem.h>
#include <sextant/utf8.h>

#include "geocode/osm/impl.h"

enum { DAY_MS = 86400000 };

static const osm_limits DEFAULTS = {
    .header_bytes_max = 64 << 10,
    .blob_bytes_max = 32 << 20,
    .strings_max = 4000000,
    .token_bytes_max = 1 << 20,
    .depth_max = 64,
    .ratio_max = 250,
    .text_bytes_max = 65535,
    .tags_max = 5000,
    .refs_max = 1000000,
    .members_max = 1000000,
};

const char *osm_kind_name(osm_kind kind)
{
    static const char *const NAMES[OSM_KINDS] = {"node", "way", "relation"};
    return NAMES[kind];
}

bool osm_object_tag(const osm_object *o, sx_str key, sx_str *value)
{
    for (uint32_t i = 0; i < o->tag_count; i++)
        if (sx_str_eq(o->tags[i].key, key)) {
            *value = o->tags[i].value;
            return true;
        }
    return false;
}

const char *osm_flaw_words(osm_flaw flaw)
{
    static const char *const WORDS[OSM_FLAWS] = {
#define X(name, words) [name] = words,
        OSM_FLAW_LIST(X)
#undef X
    };
    return WORDS[flaw];
}

void osm_report_flaw(osm_report *r, osm_flaw flaw, uint64_t block, const char *fmt, ...)
{
    if (r->flaws[flaw]++ && r->example_blocks[flaw] <= block)
        return;
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(r->examples[flaw], OSM_EXAMPLE_BYTES, fmt, args);
    va_end(args);
    r->example_blocks[flaw] = block;
}

void osm_report_merge(osm_report *into, const osm_report *from)
{
    for (int i = 0; i < OSM_KINDS; i++)
        into->objects[i] += from->objects[i];
    for (int i = 0; i < OSM_FLAWS; i++) {
        if (from->flaws[i] &&
            (!into->flaws[i] || from->example_blocks[i] < into->example_blocks[i])) {
            memcpy(into->examples[i], from->examples[i], OSM_EXAMPLE_BYTES);
            into->example_blocks[i] = from->example_blocks[i];
        }
        into->flaws[i] += from->flaws[i];
    }
    if (from->newest_ms > into->newest_ms)
        into->newest_ms = from->newest_ms;
}

/* ---- Batches ---- */

sx_status osm_builder_init(osm_builder *b, osm_run *run, uint32_t worker, sx_error *err)
{
    *b = (osm_builder){.run = run, .worker = worker};
    sx_arena_init(&b->texts, 64 << 10, 0);
    if (!run->options->places)
        return SX_OK;
    b->ids = sx_alloc(OSM_BATCH_PLACES * sizeof(*b->ids));
    b->lon_e7 = sx_alloc(OSM_BATCH_PLACES * sizeof(*b->lon_e7));
    b->lat_e7 = sx_alloc(OSM_BATCH_PLACES * sizeof(*b->lat_e7));
    b->versions = sx_alloc(OSM_BATCH_PLACES * sizeof(*b->versions));
    if (!b->ids || !b->lon_e7 || !b->lat_e7 || !b->versions)
        return sx_fail_memory(err, "a batch of nodes");
    return SX_OK;
}

void osm_builder_done(osm_builder *b)
{
    sx_free(b->objects);
    sx_free(b->tags);
    sx_free(b->refs);
    sx_free(b->members);
    sx_free(b->ids);
    sx_free(b->lon_e7);
    sx_free(b->lat_e7);
    sx_free(b->versions);
    sx_arena_done(&b->texts);
}

void osm_builder_start(osm_builder *b, osm_kind kind, int64_t id)
{
    b->now = (osm_object){.kind = kind, .id = id};
    b->tags_from = b->tag_count;
    b->refs_from = b->ref_count;
    b->members_from = b->member_count;
    b->leave_out = false;
}

void osm_builder_flaw(osm_builder *b, osm_flaw flaw, const char *what)
{
    osm_report_flaw(&b->report, flaw, b->block, "%s %" PRId64 ": %s", osm_kind_name(b->now.kind),
                    b->now.id, what);
}

bool osm_builder_tag(osm_builder *b, sx_str key, sx_str value)
{
    const osm_limits *l = &b->run->limits;
    if (sx_unlikely(b->tag_count - b->tags_from >= l->tags_max)) {
        osm_builder_flaw(b, OSM_FLAW_OVER_LIMIT, "more tags than limits.tags_max");
        return true;
    }
    if (sx_unlikely(key.len > l->text_bytes_max || value.len > l->text_bytes_max)) {
        osm_builder_flaw(b, OSM_FLAW_OVER_LIMIT, "a tag longer than limits.text_bytes_max");
        return true;
    }
    if (sx_unlikely(b->tag_count == b->tag_cap) &&
        !sx_grow(&b->tags, &b->tag_cap, b->tag_count + 1, sizeof(*b->tags)))
        return false;
    b->tags[b->tag_count++] = (osm_tag){key, value};
    return true;
}

bool osm_builder_ref(osm_builder *b, int64_t ref)
{
    if (sx_unlikely(b->ref_count - b->refs_from >= b->run->limits.refs_max)) {
        if (!b->leave_out)
            osm_builder_flaw(b, OSM_FLAW_OVER_LIMIT, "more nodes than limits.refs_max");
        b->leave_out = true;
        return true;
    }
    if (sx_unlikely(b->ref_count == b->ref_cap) &&
        !sx_grow(&b->refs, &b->ref_cap, b->ref_count + 1, sizeof(*b->refs)))
        return false;
    b->refs[b->ref_count++] = ref;
    return true;
}

bool osm_builder_member(osm_builder *b, osm_kind kind, int64_t ref, sx_str role)
{
    if (sx_unlikely(b->member_count - b->members_from >= b->run->limits.members_max)) {
        if (!b->leave_out)
            osm_builder_flaw(b, OSM_FLAW_OVER_LIMIT, "more members than limits.members_max");
        b->leave_out = true;
        return true;
    }
    if (sx_unlikely(kind == OSM_RELATION && ref == b->now.id)) {
        osm_builder_flaw(b, OSM_FLAW_SELF, "is its own member");
        return true;
    }
    if (sx_unlikely(role.len > b->run->limits.text_bytes_max)) {
        osm_builder_flaw(b, OSM_FLAW_OVER_LIMIT, "a role longer than limits.text_bytes_max");
        role = SX_STR("");
    }
    if (sx_unlikely(b->member_count == b->member_cap) &&
        !sx_grow(&b->members, &b->member_cap, b->member_count + 1, sizeof(*b->members)))
        return false;
    b->members[b->member_count++] = (osm_member){.kind = kind, .ref = ref, .role = role};
    return true;
}

void osm_builder_date(osm_builder *b, int64_t ms)
{
    if (sx_unlikely(ms > b->run->future_ms)) {
        osm_builder_flaw(b, OSM_FLAW_FUTURE, "changed in the future");
        return;
    }
    if (sx_unlikely(ms < 0)) {
        osm_builder_flaw(b, OSM_FLAW_DATE, "changed before 1970");
        return;
    }
    b->now.changed_ms = ms;
    if (ms > b->report.newest_ms)
        b->report.newest_ms = ms;
}

/* A node's place and whether it also comes as an object. */
static bool node_wanted(osm_builder *b, osm_object *o, bool *full)
{
    const osm_read_options *options = b->run->options;
    if (o->deleted)
        o->lon_e7 = o->lat_e7 = 0;
    if (options->places)
        *full =
            osm_builder_place(b, o->id, o->deleted ? OSM_GONE : o->lon_e7, o->lat_e7, o->version);
    return o->tag_count || o->deleted || osm_all_nodes(b->run);
}

sx_status osm_builder_end(osm_builder *b, sx_error *err)
{
    osm_object *o = &b->now;
    o->tag_count = (uint32_t)(b->tag_count - b->tags_from);
    o->ref_count = (uint32_t)(b->ref_count - b->refs_from);
    o->member_count = (uint32_t)(b->member_count - b->members_from);
    bool full = false, keep = !b->leave_out;
    if (keep && o->kind == OSM_NODE)
        keep = node_wanted(b, o, &full);
    if (keep && o->kind == OSM_WAY && !o->deleted && o->ref_count < 2)
        osm_builder_flaw(b, OSM_FLAW_SHORT_WAY, o->ref_count ? "one node" : "no node");
    if (!b->leave_out)
        b->report.objects[o->kind]++;
    if (!keep) {
        b->tag_count = b->tags_from;
        b->ref_count = b->refs_from;
        b->member_count = b->members_from;
    } else {
        if (sx_unlikely(b->count == b->cap) &&
            !sx_grow(&b->objects, &b->cap, b->count + 1, sizeof(*b->objects)))
            return sx_fail_memory(err, "a batch of objects");
        b->objects[b->count++] = *o;
    }
    if (full || b->count == OSM_BATCH_OBJECTS || b->tag_count > OSM_BATCH_PARTS ||
        b->ref_count > OSM_BATCH_PARTS || b->member_count > OSM_BATCH_PARTS)
        return osm_builder_flush(b, err);
    return SX_OK;
}

/* Waits until the blocks before are through. */
static sx_status wait_for_turn(osm_builder *b, sx_error *err)
{
    osm_run *run = b->run;
    (void)pthread_mutex_lock(&run->lock);
    while (run->turn != b->block && !(run->failed && run->failed_block < b->block))
        (void)pthread_cond_wait(&run->moved, &run->lock);
    b->my_turn = run->turn == b->block;
    (void)pthread_mutex_unlock(&run->lock);
    return b->my_turn ? SX_OK : sx_fail(err, SX_ECANCELED, "an earlier block failed");
}

/* Gives the caller the places and the first `count` objects, which have their pointers. */
static sx_status hand_over(osm_builder *b, size_t count, sx_error *err)
{
    if (b->run->options->ordered && !b->my_turn) {
        sx_status status = wait_for_turn(b, err);
        if (status != SX_OK)
            return status;
    }
    const osm_batch batch = {
        .worker = b->worker,
        .block = b->block,
        .objects = b->objects,
        .count = count,
        .places = {b->ids, b->lon_e7, b->lat_e7, b->versions, b->place_count},
    };
    b->place_count = 0;
    return b->run->options->batch(b->run->options->ctx, &batch, err);
}

sx_status osm_builder_flush(osm_builder *b, sx_error *err)
{
    if (!b->count && !b->place_count)
        return SX_OK;
    const osm_tag *tags = b->tags;
    const int64_t *refs = b->refs;
    const osm_member *members = b->members;
    for (size_t i = 0; i < b->count; i++) {
        osm_object *o = &b->objects[i];
        o->tags = tags;
        o->refs = refs;
        o->members = members;
        if (tags)
            tags += o->tag_count;
        if (refs)
            refs += o->ref_count;
        if (members)
            members += o->member_count;
    }
    sx_status status = hand_over(b, b->count, err);
    b->count = b->tag_count = b->ref_count = b->member_count = 0;
    return status;
}

sx_status osm_builder_flush_places(osm_builder *b, sx_error *err)
{
    return hand_over(b, 0, err);
}

sx_str osm_builder_text(osm_builder *b, sx_str in)
{
    size_t good = sx_utf8_valid_len(in);
    if (sx_unlikely(good != in.len)) {
        osm_builder_flaw(b, OSM_FLAW_UTF8, "bytes that are not UTF-8");
        size_t bad = 0; /* each becomes three */
        for (sx_str rest = sx_str_from(in, good); rest.len;
             bad++, rest = sx_str_from(rest, 1 + sx_utf8_valid_len(sx_str_from(rest, 1)))) {
        }
        char *to = sx_arena_alloc(&b->texts, in.len + 2 * bad);
        if (!to)
            return sx_str_of(NULL, 0);
        size_t len = 0;
        for (sx_str rest = in; rest.len;) {
            size_t fine = sx_utf8_valid_len(rest);
            memcpy(to + len, rest.data, fine);
            len += fine;
            rest = sx_str_from(rest, fine);
            if (rest.len) {
                memcpy(to + len, "\xEF\xBF\xBD", 3);
                len += 3;
                rest = sx_str_from(rest, 1);
            }
        }
        in = sx_str_of(to, len);
    }
    if (sx_unlikely(in.len > OSM_TEXT_CHARS) && sx_utf8_count(in) > OSM_TEXT_CHARS)
        osm_builder_flaw(b, OSM_FLAW_LONG_TEXT, "a text of more than 255 characters");
    return in.data ? in : SX_STR("");
}

/* ---- The run ---- */

sx_status osm_run_take(osm_run *run, void *out, size_t len, size_t *got, sx_error *err)
{
    *got = 0;
    while (*got < len) {
        if (!run->chunk.len) {
            sx_status status = sx_packed_file_read(run->file, &run->chunk, err);
            if (status == SX_END)
                break;
            if (status != SX_OK)
                return status;
        }
        sx_str part = sx_str_first(run->chunk, len - *got);
        memcpy((char *)out + *got, part.data, part.len);
        *got += part.len;
        run->at += part.len;
        run->chunk = sx_str_from(run->chunk, part.len);
    }
    return SX_OK;
}

sx_status osm_run_progress(osm_run *run, sx_error *err)
{
    const osm_read_options *o = run->options;
    if (!o->progress ||
        o->progress(o->ctx, sx_packed_file_taken(run->file), sx_packed_file_size(run->file)))
        return SX_OK;
    return sx_fail(err, SX_ECANCELED, "stopped");
}

uint32_t osm_threads(uint32_t asked)
{
    if (!asked) {
        cpu_set_t set;
        asked = sched_getaffinity(0, sizeof(set), &set) == 0 ? (uint32_t)CPU_COUNT(&set) : 1;
    }
    return asked > OSM_THREADS_MAX ? OSM_THREADS_MAX : asked < 1 ? 1 : asked;
}

static void set_limits(osm_limits *l, const osm_limits *asked)
{
    /* All fields are uint32_t and 0 means the default in each. */
    _Static_assert(sizeof(osm_limits) % sizeof(uint32_t) == 0, "limits are numbers of 32 bits");
    uint32_t *to = (uint32_t *)l;
    const uint32_t *from = (const uint32_t *)asked, *usual = (const uint32_t *)&DEFAULTS;
    for (size_t i = 0; i < sizeof(*l) / sizeof(*to); i++)
        to[i] = from[i] ? from[i] : usual[i];
    if (l->text_bytes_max > DEFAULTS.text_bytes_max)
        l->text_bytes_max = DEFAULTS.text_bytes_max;
    if (l->tags_max > UINT16_MAX)
        l->tags_max = UINT16_MAX;
}

/* A PBF begins with the length of a short header, whose first field is "OSMHeader" or "OSMData". */
static bool looks_like_pbf(sx_str head)
{
    static const char FIRST[] = {0x0A, 0x09, 'O', 'S', 'M'};
    return head.len >= 9 && head.data[0] == 0 && head.data[1] == 0 &&
           memcmp(head.data + 4, FIRST, sizeof(FIRST)) == 0;
}

static bool looks_like_xml(sx_str head)
{
    if (sx_str_starts(head, SX_STR("\xEF\xBB\xBF")))
        head = sx_str_from(head, 3);
    head = sx_str_trim_all(head);
    return head.len && head.data[0] == '<';
}

static sx_status run_it(osm_run *run, sx_error *err)
{
    sx_status status = sx_packed_file_read(run->file, &run->chunk, err);
    if (status == SX_END)
        return sx_fail(err, SX_EFORMAT, "empty; an OSM file is expected");
    if (status != SX_OK)
        return status;
    if (looks_like_pbf(run->chunk))
        return osm_read_pbf(run, err);
    if (looks_like_xml(run->chunk))
        return osm_read_xml(run, err);
    if (sx_str_starts(run->chunk, SX_STR("\xFF\xFE")) ||
        sx_str_starts(run->chunk, SX_STR("\xFE\xFF")))
        return sx_fail(err, SX_EUNSUPPORTED, "XML in UTF-16; convert it to UTF-8");
    return sx_fail(err, SX_EUNSUPPORTED,
                   "not OSM data: neither PBF nor XML (.osm, .osc; plain, gzip or bzip2)");
}

sx_status osm_read(const osm_read_options *options, sx_error *err)
{
    const sx_clock *clock = options->clock ? options->clock : sx_clock_system();
    osm_run run = {
        .options = options,
        .kinds = options->kinds ? options->kinds : (1u << OSM_KINDS) - 1,
        .future_ms = sx_clock_ms(clock) + DAY_MS,
    };
    sx_error own = {0};
    if (!err)
        err = &own;
    set_limits(&run.limits, &options->limits);
    run.file = sx_packed_file_open(options->path, NULL, err);
    if (!run.file)
        return err->status;
    (void)pthread_mutex_init(&run.lock, NULL);
    (void)pthread_cond_init(&run.moved, NULL);
    sx_status status = run_it(&run, err);
    if (status == SX_OK)
        status = osm_run_progress(&run, err);
    if (options->report)
        osm_report_merge(options->report, &run.report);
    if (status != SX_OK && !sx_str_starts(sx_str_z(err->message), sx_str_z(options->path)))
        status = sx_error_prefix(err, status, "%s", options->path);
    (void)pthread_cond_destroy(&run.moved);
    (void)pthread_mutex_destroy(&run.lock);
    sx_packed_file_close(run.file);
    return status;
}
