/* phrases.c - reads special phrases; see words_build.h. */
#include <sextant/csv.h>

#include "geocode/nominatim/words_build.h"

enum { PHRASES_MAX = 1000000, TEXT_BYTES_MAX = 1024 };
enum { PHRASE, CLASS, TYPE, OPERATOR, COLUMNS };

static const char *const COLUMN_NAMES[COLUMNS] = {"phrase", "class", "type", "operator"};

typedef struct reading {
    sx_arena *arena;
    nom_phrase *items;
    size_t count, cap;
    size_t at[COLUMNS];
} reading;

/* Letters, digits and '_', somewhere. */
static bool is_word(sx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        if (!((c | 0x20) >= 'a' && (c | 0x20) <= 'z') && !(c >= '0' && c <= '9') && c != '_' &&
            c < 0x80)
            return false;
    }
    return s.len > 0;
}

/* Categories that phrases must not search for, and classes of which only some types may be. */
static bool is_allowed(sx_str class_name, sx_str type)
{
    static const char *const HIGHWAYS[] = {"bus_stop", "rest_area"};
    if (sx_str_eq(class_name, SX_STR("boundary")))
        return !sx_str_eq(type, SX_STR("administrative"));
    if (sx_str_eq(class_name, SX_STR("place")))
        return !sx_str_eq(type, SX_STR("house")) && !sx_str_eq(type, SX_STR("houses"));
    if (sx_str_eq(class_name, SX_STR("highway")))
        return sx_str_eq(type, sx_str_z(HIGHWAYS[0])) || sx_str_eq(type, sx_str_z(HIGHWAYS[1]));
    return !sx_str_eq(class_name, SX_STR("building"));
}

static sx_status read_head(reading *r, const sx_csv_record *record, sx_error *err)
{
    for (int column = 0; column < COLUMNS; column++) {
        r->at[column] = SIZE_MAX;
        for (size_t i = 0; i < record->count; i++)
            if (sx_str_eq(sx_str_trim_all(record->fields[i]), sx_str_z(COLUMN_NAMES[column])))
                r->at[column] = i;
        if (r->at[column] == SIZE_MAX)
            return sx_fail(err, SX_EFORMAT,
                           "special phrases: line 1 has no column '%s'; "
                           "write phrase,class,type,operator",
                           COLUMN_NAMES[column]);
    }
    return SX_OK;
}

static sx_status read_row(reading *r, const sx_csv_record *record, sx_error *err)
{
    sx_str f[COLUMNS];
    for (int column = 0; column < COLUMNS; column++) {
        if (r->at[column] >= record->count)
            return SX_OK;
        f[column] = sx_str_trim_all(sx_str_first(record->fields[r->at[column]], TEXT_BYTES_MAX));
    }
    if (!f[PHRASE].len || !is_word(f[CLASS]) || !is_word(f[TYPE]) || !is_allowed(f[CLASS], f[TYPE]))
        return SX_OK;
    if (r->count == PHRASES_MAX)
        return sx_fail(err, SX_ELIMIT, "special phrases: line %llu: more than %d of them",
                       (unsigned long long)record->line, PHRASES_MAX);
    nom_phrase p = {.text = sx_arena_copy(r->arena, f[PHRASE]),
                    .class_name = sx_arena_copy(r->arena, f[CLASS]),
                    .type = sx_arena_copy(r->arena, f[TYPE])};
    p.op = sx_str_ieq(f[OPERATOR], SX_STR("in"))     ? NOM_OP_IN
           : sx_str_ieq(f[OPERATOR], SX_STR("near")) ? NOM_OP_NEAR
                                                     : NOM_OP_NONE;
    if (!p.text.data || !p.class_name.data || !p.type.data ||
        !sx_arena_grow(r->arena, &r->items, &r->cap, r->count + 1, sizeof(p)))
        return sx_fail_memory(err, "special phrases");
    r->items[r->count++] = p;
    return SX_OK;
}

sx_status nom_phrases_read(sx_str text, sx_arena *arena, nom_phrases *out, sx_error *err)
{
    reading r = {.arena = arena};
    sx_csv_reader *csv = sx_csv_reader_new(NULL, err);
    if (!csv)
        return SX_ENOMEM;
    sx_csv_record record;
    sx_status status = SX_OK;
    bool head = false, finished = false;
    sx_csv_feed(csv, text);
    while (status == SX_OK) {
        sx_status next = sx_csv_next(csv, &record, err);
        if (next == SX_AGAIN && !finished) {
            sx_csv_finish(csv);
            finished = true;
        } else if (next == SX_OK) {
            status = head ? read_row(&r, &record, err) : read_head(&r, &record, err);
            head = true;
        } else {
            status = next == SX_END ? SX_OK : next;
            break;
        }
    }
    sx_csv_reader_free(csv);
    if (status == SX_OK && !head)
        status = sx_fail(err, SX_EFORMAT,
                         "special phrases: the file is empty; "
                         "write phrase,class,type,operator");
    *out = (nom_phrases){r.items, (uint32_t)r.count};
    return status;
}
