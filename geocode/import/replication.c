/* replication.c - see replication.h. */
#include "geocode/import/replication.h"

#include <stdio.h>
#include <string.h>

#include <sextant/file.h>

#include "geocode/import/paths.h"

enum {
    NAMES_MAX = 1000000,
    STATE_BYTES_MAX = 1 << 16,
    NUMBERS_A_FOLDER = 1000,
    LEVELS = 3, /* 000/012/345 */
};

static const char *const ENDINGS[] = {".osc.gz", ".osc", ".osc.bz2"};

static sx_status ignore_batch(void *ctx, const osm_batch *batch, sx_error *err)
{
    (void)ctx;
    (void)batch;
    (void)err;
    return SX_OK;
}

sx_status geo_change_check(const char *path, sx_error *err)
{
    osm_header header = {0};
    osm_read_options o = {.path = path, .batch = ignore_batch, .header = &header, .threads = 1};
    sx_status status = osm_read(&o, err);
    if (status != SX_OK || header.is_change)
        return status;
    return sx_fail(err, SX_EINVAL,
                   "%s is no change file (.osc): import it, if it is a map of its own", path);
}

static bool is_there(const char *path)
{
    sx_file_info info;
    return sx_file_stat(path, &info, NULL) == SX_OK && !info.is_folder;
}

/* The file of a number, with the ending that it has; the first ending's if there is none. */
static const char *numbered(const char *folder, uint64_t number, const char *ending,
                            sx_arena *arena)
{
    unsigned long long high = number / NUMBERS_A_FOLDER / NUMBERS_A_FOLDER;
    unsigned middle = (unsigned)(number / NUMBERS_A_FOLDER % NUMBERS_A_FOLDER);
    unsigned low = (unsigned)(number % NUMBERS_A_FOLDER);
    for (size_t i = 0; i < SX_COUNT_OF(ENDINGS); i++) {
        sx_str path = sx_arena_printf(arena, "%s/%03llu/%03u/%03u%s", folder, high, middle, low,
                                      ending ? ending : ENDINGS[i]);
        if (!path.data || ending || is_there(path.data))
            return path.data;
    }
    return numbered(folder, number, ENDINGS[0], arena);
}

/* The value behind "key=" in a state file; the last one, as its readers take it. */
static sx_str state_value(sx_str text, sx_str key)
{
    sx_str line, name, value, found = sx_str_of("", 0);
    while (text.len) {
        (void)sx_str_cut(text, '\n', &line, &text);
        if (sx_str_cut(line, '=', &name, &value) && sx_str_eq(sx_str_trim_all(name), key))
            found = sx_str_trim_all(value);
    }
    return found;
}

/* "2026-11-22T01\:02\:03Z", with the backslashes of Java's properties; 0: not to be read. */
static int64_t state_time(sx_str text)
{
    static const int DAYS[] = {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    int64_t v[6] = {0};
    size_t field = 0, digits = 0;
    for (size_t i = 0; i < text.len && field < 6; i++) {
        char c = text.data[i];
        if (c >= '0' && c <= '9') {
            v[field] = v[field] * 10 + (c - '0');
            if (++digits == (field ? 2u : 4u)) {
                field++;
                digits = 0;
            }
        } else if (digits) {
            return 0;
        }
    }
    if (field < 6 || v[0] < 1970 || v[0] > 9999 || v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > 31)
        return 0;
    bool leap = (v[0] % 4 == 0 && v[0] % 100 != 0) || v[0] % 400 == 0;
    int64_t years = v[0] - 1;
    int64_t days = years * 365 + years / 4 - years / 100 + years / 400 - 719162 + DAYS[v[1] - 1] +
                   (leap && v[1] > 2) + v[2] - 1;
    return (((days * 24 + v[3]) * 60 + v[4]) * 60 + v[5]) * 1000;
}

typedef struct state {
    uint64_t sequence;
    int64_t ms;
} state;

/* False: the file is not there or holds no number. */
static bool read_state(const char *path, state *out)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    *out = (state){0, 0};
    bool good =
        path && sx_file_read(path, STATE_BYTES_MAX, &text, NULL) == SX_OK &&
        sx_str_to_u64(state_value(sx_buf_view(&text), SX_STR("sequenceNumber")), &out->sequence) &&
        out->sequence > 0 && out->sequence < INT64_MAX;
    if (good)
        out->ms = state_time(state_value(sx_buf_view(&text), SX_STR("timestamp")));
    sx_buf_done(&text);
    return good;
}

/* The first number that is there, down the three levels of folders; 0: none. */
static uint64_t first_number(const char *folder, sx_arena *arena)
{
    uint64_t number = 0;
    const char *at = folder;
    for (int level = 0; level < LEVELS; level++) {
        sx_str *names, least = sx_str_of("", 0);
        size_t count;
        if (sx_folder_list(at, NAMES_MAX, arena, &names, &count, NULL) != SX_OK)
            return 0;
        uint64_t value, best = UINT64_MAX;
        for (size_t i = 0; i < count; i++) {
            sx_str digits = sx_str_first(names[i], sx_str_find_byte(names[i], '.'));
            bool change = sx_str_find(names[i], SX_STR(".osc")) < names[i].len;
            if (digits.len < 3 || (level == LEVELS - 1) != change ||
                !sx_str_to_u64(digits, &value) || value >= best)
                continue;
            best = value;
            least = names[i];
        }
        if (best == UINT64_MAX)
            return 0;
        number = number * NUMBERS_A_FOLDER + best;
        at = sx_arena_printf(arena, "%s/%.*s", at, SX_ARG(least)).data;
        if (!at)
            return 0;
    }
    return number;
}

static void set_problem(geo_changes *out, const char *text)
{
    (void)snprintf(out->problem, sizeof(out->problem), "%s", text);
}

/* Adds a file if it is whole; false: it ends the list. */
static bool take(geo_changes *out, const char *path)
{
    sx_error why = {0};
    if (!is_there(path)) {
        (void)snprintf(out->problem, sizeof(out->problem),
                       "waiting for %s: it is missing, and what is behind it cannot be applied",
                       path);
        return false;
    }
    if (geo_change_check(path, &why) != SX_OK) {
        (void)snprintf(out->problem, sizeof(out->problem), "waiting for a whole file: %s",
                       why.message);
        return false;
    }
    out->paths[out->count++] = path;
    return true;
}

static sx_status find_numbered(const char *folder, const osm_header *have, uint64_t known,
                               sx_arena *arena, geo_changes *out, sx_error *err)
{
    state newest, own;
    sx_str path = sx_arena_printf(arena, "%s/state.txt", folder);
    uint64_t last = have->sequence > 0 ? (uint64_t)have->sequence : known;
    if (!path.data)
        return sx_fail_memory(err, "change files");
    if (!read_state(path.data, &newest)) {
        (void)snprintf(out->problem, sizeof(out->problem),
                       "waiting for %s: it is missing, or has no sequenceNumber", path.data);
        return SX_OK;
    }
    if (last == 0) {
        uint64_t first = first_number(folder, arena);
        if (first == 0) {
            set_problem(out, "waiting for the first change file: there is none");
            return SX_OK;
        }
        last = first - 1;
    }
    out->sequence = (int64_t)last;
    if (newest.sequence < last)
        (void)snprintf(out->problem, sizeof(out->problem),
                       "waiting: %s is at %llu, the map at %llu already", path.data,
                       (unsigned long long)newest.sequence, (unsigned long long)last);
    for (uint64_t n = last + 1; n <= newest.sequence && out->count < GEO_CHANGES_MAX; n++) {
        const char *file = numbered(folder, n, NULL, arena);
        if (!file)
            return sx_fail_memory(err, "change files");
        if (!take(out, file))
            break;
        out->sequence = (int64_t)n;
        out->state_ms = read_state(numbered(folder, n, ".state.txt", arena), &own) ? own.ms : 0;
    }
    return SX_OK;
}

static bool is_change_name(sx_str name)
{
    for (size_t i = 0; i < SX_COUNT_OF(ENDINGS); i++) {
        if (sx_str_ends(name, sx_str_z(ENDINGS[i])))
            return true;
    }
    return false;
}

static sx_status find_named(const char *folder, const osm_header *have, sx_str *names,
                            size_t name_count, sx_arena *arena, geo_changes *out, sx_error *err)
{
    sx_str last = sx_str_z(have->replication_url);
    last = sx_str_starts(last, SX_STR(GEO_CHANGES_LAST))
               ? sx_str_from(last, sizeof(GEO_CHANGES_LAST) - 1)
               : sx_str_of("", 0);
    (void)snprintf(out->last, sizeof(out->last), "%.*s", SX_ARG(last));
    for (size_t i = 0; i < name_count && out->count < GEO_CHANGES_MAX; i++) {
        if (!is_change_name(names[i]) || sx_str_cmp(names[i], last) <= 0)
            continue;
        sx_str path = sx_arena_printf(arena, "%s/%.*s", folder, SX_ARG(names[i]));
        if (!path.data)
            return sx_fail_memory(err, "change files");
        if (names[i].len > 200) {
            (void)snprintf(out->problem, sizeof(out->problem),
                           "waiting: %s has a name of more than 200 bytes; give it a shorter one",
                           path.data);
            return SX_OK;
        }
        if (!take(out, path.data))
            return SX_OK;
        (void)snprintf(out->last, sizeof(out->last), "%.*s", SX_ARG(names[i]));
    }
    return SX_OK;
}

sx_status geo_changes_find(const char *folder, const osm_header *have, uint64_t known,
                           sx_arena *arena, geo_changes *out, sx_error *err)
{
    sx_str *names;
    size_t count;
    *out = (geo_changes){.count = 0};
    sx_status status = sx_folder_list(folder, NAMES_MAX, arena, &names, &count, err);
    if (status != SX_OK)
        return status;
    bool is_numbered = false;
    for (size_t i = 0; i < count; i++)
        is_numbered = is_numbered || sx_str_eq(names[i], SX_STR("state.txt")) ||
                      sx_str_eq(names[i], SX_STR("000"));
    return is_numbered ? find_numbered(folder, have, known, arena, out, err)
                       : find_named(folder, have, names, count, arena, out, err);
}
