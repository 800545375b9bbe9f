/* bind.c - reads YAML into structs by tables. Printing is in bind_print.c. */
#include "observe/config/bind.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <sextant/mem.h>
#include <sextant/number.h>

#include "observe/config/config.h"
#include "observe/promql/parse.h"

enum { KNOWN_MAX = 256, EXPANDED_MAX = 1 << 20 };

sx_status bind_fault(bind *b, const sx_yaml_node *node, const char *fmt, ...)
{
    char words[360];
    sx_error err;
    va_list args;
    va_start(args, fmt);
    vsnprintf(words, sizeof words, fmt, args);
    va_end(args);
    sx_yaml_fail(node, SX_EFORMAT, &err, "%s", words);
    if (b->faults++ == 0)
        b->first = err;
    if (b->problems && b->faults <= BIND_FAULTS_MAX)
        sx_buf_printf(b->problems, "%s\n", err.message);
    return SX_EFORMAT;
}

static sx_status no_memory(bind *b)
{
    b->no_memory = true;
    return SX_ENOMEM;
}

/* --- Texts. */

static const char *lookup(const bind *b, sx_str name)
{
    for (const char *const *e = b->environment; e && *e; e++) {
        if (strncmp(*e, name.data, name.len) == 0 && (*e)[name.len] == '=')
            return *e + name.len + 1;
    }
    return NULL;
}

static bool is_name_byte(char c, bool first)
{
    return c == '_' || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (!first && c >= '0' && c <= '9');
}

/* The name behind a dollar sign, and how many bytes it takes with its braces; 0: none begins here. */
static size_t variable(sx_str s, sx_str *name)
{
    if (s.len && s.data[0] == '{') {
        size_t end = sx_str_find_byte(s, '}');
        if (end == s.len)
            return 0;
        *name = sx_str_of(s.data + 1, end - 1);
        return end + 1;
    }
    size_t len = 0;
    while (len < s.len && is_name_byte(s.data[len], len == 0))
        len++;
    *name = sx_str_first(s, len);
    return len;
}

sx_status bind_expand(bind *b, sx_str text, sx_str *out, sx_str *unset)
{
    sx_buf buf;
    if (sx_str_find_byte(text, '$') == text.len) {
        *out = text;
        return SX_OK;
    }
    sx_buf_init(&buf, EXPANDED_MAX);
    while (text.len) {
        size_t plain = sx_str_find_byte(text, '$');
        sx_buf_str(&buf, sx_str_first(text, plain));
        text = sx_str_from(text, plain);
        if (text.len == 0)
            break;
        text = sx_str_from(text, 1);
        if (text.len && text.data[0] == '$') { /* $$ is a dollar sign */
            sx_buf_byte(&buf, '$');
            text = sx_str_from(text, 1);
            continue;
        }
        sx_str name;
        size_t len = variable(text, &name);
        const char *value = len ? lookup(b, name) : NULL;
        if (len == 0)
            sx_buf_byte(&buf, '$');
        else if (value)
            sx_buf_str(&buf, sx_str_z(value));
        else if (unset && unset->len == 0)
            *unset = name;
        text = sx_str_from(text, len);
    }
    *out = sx_arena_copy(b->arena, sx_buf_view(&buf));
    bool failed = buf.failed || !out->data;
    sx_buf_done(&buf);
    return failed ? no_memory(b) : SX_OK;
}

sx_status bind_text(bind *b, const sx_yaml_node *value, sx_str *out)
{
    sx_error err;
    sx_str unset = {0};
    if (sx_yaml_str(value, out, &err) != SX_OK)
        return bind_fault(b, value, "expected a text");
    if (!b->expand)
        return SX_OK;
    sx_status st = bind_expand(b, *out, out, &unset);
    if (st == SX_OK && unset.len)
        return bind_fault(b, value, "environment variable \"%.*s\" is not set", SX_ARG(unset));
    return st;
}

sx_status bind_path(bind *b, sx_str path, sx_str *out)
{
    *out = path;
    if (path.len == 0 || path.data[0] == '/' || b->folder.len == 0)
        return SX_OK;
    bool slash = b->folder.data[b->folder.len - 1] == '/';
    *out =
        sx_arena_printf(b->arena, "%.*s%s%.*s", SX_ARG(b->folder), slash ? "" : "/", SX_ARG(path));
    return out->data ? SX_OK : no_memory(b);
}

/* --- Numbers with units. */

static const struct {
    const char *unit;
    int power; /* of 1024 */
} UNITS[] = {{"B", 0},   {"KB", 1},  {"MB", 2},  {"GB", 3},  {"TB", 4}, {"PB", 5}, {"EB", 6},
             {"K", 1},   {"M", 2},   {"G", 3},   {"T", 4},   {"P", 5},  {"E", 6},  {"KiB", 1},
             {"MiB", 2}, {"GiB", 3}, {"TiB", 4}, {"PiB", 5}, {"EiB", 6}};

bool bind_bytes(sx_str text, uint64_t *out)
{
    size_t digits = 0;
    double number;
    while (digits < text.len &&
           ((text.data[digits] >= '0' && text.data[digits] <= '9') || text.data[digits] == '.'))
        digits++;
    sx_str unit = sx_str_from(text, digits);
    if (digits == 0 || !sx_double_parse(sx_str_first(text, digits), &number))
        return false;
    if (unit.len == 0) { /* only nothing goes without a unit */
        *out = 0;
        return number == 0;
    }
    for (size_t i = 0; i < SX_COUNT_OF(UNITS); i++) {
        if (!sx_str_eq(unit, sx_str_z(UNITS[i].unit)))
            continue;
        for (int p = 0; p < UNITS[i].power; p++)
            number *= 1024;
        *out = (uint64_t)number;
        return number < 9.2e18;
    }
    return false;
}

/* --- One value. */

static sx_status read_integer(bind *b, const bind_field *f, const sx_yaml_node *value, void *at)
{
    int64_t most = f->kind == BIND_U16 ? UINT16_MAX : f->kind == BIND_U32 ? UINT32_MAX : INT64_MAX;
    int64_t number;
    sx_error err;
    if (sx_yaml_i64(value, 0, most, &number, &err) != SX_OK)
        return bind_fault(b, value, "expected a number from 0 to %lld", (long long)most);
    if (f->kind == BIND_U16)
        *(uint16_t *)at = (uint16_t)number;
    else if (f->kind == BIND_U32)
        *(uint32_t *)at = (uint32_t)number;
    else
        *(uint64_t *)at = (uint64_t)number;
    return SX_OK;
}

static sx_status read_duration(bind *b, const sx_yaml_node *value, int64_t *out)
{
    sx_str text;
    sx_error err;
    sx_status st = bind_text(b, value, &text);
    if (st != SX_OK)
        return st;
    if (sx_str_eq(text, SX_STR("0"))) {
        *out = 0;
        return SX_OK;
    }
    if (promql_parse_duration(text, false, out, &err) != SX_OK)
        return bind_fault(b, value, "not a valid duration string: \"%.*s\"",
                          SX_ARG(sx_str_first(text, 60)));
    return SX_OK;
}

static sx_status read_double(bind *b, const sx_yaml_node *value, double *out)
{
    sx_str text;
    sx_status st = bind_text(b, value, &text);
    if (st != SX_OK)
        return st;
    return sx_double_parse(text, out) ? SX_OK : bind_fault(b, value, "expected a number");
}

static sx_status read_choice(bind *b, const bind_field *f, const sx_yaml_node *value, int *out)
{
    sx_str text;
    sx_status st = bind_text(b, value, &text);
    if (st != SX_OK)
        return st;
    sx_buf words;
    sx_buf_init(&words, 0);
    for (const bind_choice *c = f->choices; c->word; c++) {
        if (sx_str_eq(sx_str_z(c->word), text)) {
            *out = c->value;
            return SX_OK;
        }
    }
    for (const bind_choice *c = f->choices; c->word; c++)
        sx_buf_printf(&words, "%s%s", words.len ? ", " : "", c->word);
    st = bind_fault(b, value, "\"%.*s\" is none of: %.*s", SX_ARG(sx_str_first(text, 60)),
                    SX_ARG(sx_str_first(sx_buf_view(&words), 200)));
    sx_buf_done(&words);
    return st;
}

static sx_status read_secret(bind *b, const bind_field *f, const sx_yaml_node *value,
                             prom_secret *out)
{
    sx_str text;
    sx_status st = bind_text(b, value, &text);
    if (st != SX_OK)
        return st;
    if (f->kind == BIND_SECRET_REF)
        return bind_fault(b, value,
                          "secret references are not supported; name a file with %.*s_file",
                          (int)(strlen(f->key) - 4), f->key);
    if (f->kind == BIND_SECRET_FILE)
        return bind_path(b, text, &out->file);
    out->text = text;
    return SX_OK;
}

static sx_status read_strings(bind *b, const bind_field *f, const sx_yaml_node *value, void *target)
{
    sx_error err;
    if (sx_yaml_expect(value, SX_YAML_SEQUENCE, &err) != SX_OK)
        return bind_fault(b, value, "expected a list of texts");
    sx_str *items = sx_arena_calloc(b->arena, value->count ? value->count : 1, sizeof *items);
    if (!items)
        return no_memory(b);
    for (uint32_t i = 0; i < value->count; i++) {
        sx_status st = bind_text(b, value->items[i], &items[i]);
        if (st == SX_OK && f->kind == BIND_PATHS)
            st = bind_path(b, items[i], &items[i]);
        if (st != SX_OK)
            return st;
    }
    *(const sx_str **)((char *)target + f->at) = items;
    *(uint32_t *)((char *)target + f->count_at) = value->count;
    return SX_OK;
}

static sx_status read_pairs(bind *b, const sx_yaml_node *value, tsdb_label **out)
{
    sx_error err;
    if (sx_yaml_expect(value, SX_YAML_MAPPING, &err) != SX_OK)
        return bind_fault(b, value, "expected a mapping of texts");
    *out = sx_arena_calloc(b->arena, value->count ? value->count : 1, sizeof **out);
    if (!*out)
        return no_memory(b);
    for (uint32_t i = 0; i < value->count; i++) {
        (*out)[i].name = value->pairs[i].key->scalar;
        sx_status st = bind_text(b, value->pairs[i].value, &(*out)[i].value);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}

static sx_status read_map(bind *b, const bind_field *f, const sx_yaml_node *value, void *target)
{
    tsdb_label *items = NULL;
    sx_status st = read_pairs(b, value, &items);
    if (st != SX_OK)
        return st;
    if (f->kind == BIND_MAP) {
        *(const tsdb_label **)((char *)target + f->at) = items;
        *(uint32_t *)((char *)target + f->count_at) = value->count;
        return SX_OK;
    }
    sx_error err;
    tsdb_labels *labels = (tsdb_labels *)(void *)((char *)target + f->at);
    if (tsdb_labels_sort(items, value->count, labels, &err) != SX_OK)
        return bind_fault(b, value, "%s", err.message);
    return SX_OK;
}

/* A null is an empty list, and a null in a list an empty text, as in Go. */
static sx_status read_multimap(bind *b, const bind_field *f, const sx_yaml_node *value,
                               void *target)
{
    sx_error err;
    uint32_t all = 0, count = 0;
    if (sx_yaml_expect(value, SX_YAML_MAPPING, &err) != SX_OK)
        return bind_fault(b, value, "expected a mapping of lists");
    for (uint32_t i = 0; i < value->count; i++) {
        const sx_yaml_node *list = value->pairs[i].value;
        if (!sx_yaml_is_null(list) && sx_yaml_expect(list, SX_YAML_SEQUENCE, &err) != SX_OK)
            return bind_fault(b, list, "expected a list of texts");
        all += list->kind == SX_YAML_SEQUENCE ? list->count : 0;
    }
    tsdb_label *rows = sx_arena_calloc(b->arena, all ? all : 1, sizeof *rows);
    if (!rows)
        return no_memory(b);
    for (uint32_t i = 0; i < value->count; i++) {
        const sx_yaml_node *list = value->pairs[i].value;
        for (uint32_t k = 0; list->kind == SX_YAML_SEQUENCE && k < list->count; k++) {
            tsdb_label *row = &rows[count++];
            row->name = value->pairs[i].key->scalar;
            sx_status st = SX_OK;
            if (!sx_yaml_is_null(list->items[k]))
                st = bind_text(b, list->items[k], &row->value);
            if (st != SX_OK)
                return st;
        }
    }
    *(const tsdb_label **)(void *)((char *)target + f->at) = rows;
    *(uint32_t *)(void *)((char *)target + f->count_at) = count;
    return SX_OK;
}

sx_status bind_read_structs(bind *b, const bind_table *t, const sx_yaml_node *list,
                            const void **items, uint32_t *count, const char *null_words)
{
    sx_error err;
    if (sx_yaml_expect(list, SX_YAML_SEQUENCE, &err) != SX_OK)
        return bind_fault(b, list, "expected a list");
    uint64_t all = (uint64_t)*count + list->count;
    char *grown = sx_arena_calloc(b->arena, all ? all : 1, t->size);
    if (!grown)
        return no_memory(b);
    if (*count)
        memcpy(grown, *items, *count * t->size);
    for (uint32_t i = 0; i < list->count; i++) {
        const sx_yaml_node *item = list->items[i];
        sx_status st = SX_OK;
        if (sx_yaml_is_null(item) && null_words)
            st = bind_fault(b, item, "%s", null_words);
        else
            st = bind_read(b, t, item, grown + (*count + i) * t->size);
        if (st == SX_ENOMEM)
            return st;
    }
    *items = grown;
    *count = (uint32_t)all;
    return SX_OK;
}

/* A struct and its parts: calls bind_read, which calls this. Depth is that of the tables. */
static sx_status read_struct(bind *b, const bind_field *f, const sx_yaml_node *value, void *target)
{
    sx_status st = bind_read(b, f->table, value, (char *)target + f->at);
    if (f->flags & BIND_PRESENCE)
        *(bool *)((char *)target + f->count_at) = true;
    return st;
}

static sx_status read_list(bind *b, const bind_field *f, const sx_yaml_node *value, void *target)
{
    const void **items = (const void **)(void *)((char *)target + f->at);
    uint32_t *count = (uint32_t *)(void *)((char *)target + f->count_at);
    *items = NULL;
    *count = 0;
    return bind_read_structs(b, f->table, value, items, count,
                             f->flags & BIND_NO_NULLS ? f->note : NULL);
}

static sx_status read_bool(bind *b, const bind_field *f, const sx_yaml_node *value, void *at)
{
    bool truth;
    sx_error err;
    if (sx_yaml_bool(value, &truth, &err) != SX_OK)
        return bind_fault(b, value, "expected true or false");
    if (f->kind == BIND_TRI)
        *(uint8_t *)at = truth ? BIND_TRUE : BIND_FALSE;
    else
        *(bool *)at = truth;
    return SX_OK;
}

static sx_status read_text(bind *b, const bind_field *f, const sx_yaml_node *value, sx_str *out)
{
    sx_status st = bind_text(b, value, out);
    if (st == SX_OK && (f->flags & BIND_NOT_EMPTY) && out->len == 0)
        return bind_fault(b, value, "must not be empty");
    return st == SX_OK && f->kind == BIND_PATH ? bind_path(b, *out, out) : st;
}

static sx_status read_size(bind *b, const sx_yaml_node *value, uint64_t *out)
{
    sx_str text;
    sx_status st = bind_text(b, value, &text);
    if (st == SX_OK && !bind_bytes(text, out))
        return bind_fault(b, value, "not a size: \"%.*s\"; write it as 512KB, 10MB, 1.5GB",
                          SX_ARG(sx_str_first(text, 60)));
    return st;
}

sx_status bind_read_field(bind *b, const bind_field *f, const sx_yaml_node *value, void *target)
{
    void *at = (char *)target + f->at;
    switch (f->kind) {
    case BIND_STR:
    case BIND_PATH:
        return read_text(b, f, value, at);
    case BIND_BOOL:
    case BIND_TRI:
        return read_bool(b, f, value, at);
    case BIND_MS:
        return read_duration(b, value, at);
    case BIND_BYTES:
        return read_size(b, value, at);
    case BIND_U16:
    case BIND_U32:
    case BIND_U64:
        return read_integer(b, f, value, at);
    case BIND_DOUBLE:
        return read_double(b, value, at);
    case BIND_CHOICE:
        return read_choice(b, f, value, at);
    case BIND_SECRET:
    case BIND_SECRET_FILE:
    case BIND_SECRET_REF:
        return read_secret(b, f, value, at);
    case BIND_STRS:
    case BIND_PATHS:
        return read_strings(b, f, value, target);
    case BIND_MAP:
    case BIND_LABELS:
        return read_map(b, f, value, target);
    case BIND_MULTIMAP:
        return read_multimap(b, f, value, target);
    case BIND_STRUCT:
        return read_struct(b, f, value, target);
    case BIND_STRUCTS:
        return read_list(b, f, value, target);
    case BIND_CUSTOM:
        return f->read(b, value, target, f);
    case BIND_REFUSED:
        return bind_fault(b, value, "is not supported; %s", f->note);
    case BIND_NOTHING:
        return b->ignored ? b->ignored(b, value) : SX_OK;
    case BIND_INLINE:
        break;
    }
    return SX_OK;
}

/* --- Mappings. */

/* The names that a mapping may have, those of inlined tables too. */
static size_t known_keys(const bind_table *t, sx_str known[KNOWN_MAX], size_t count)
{
    for (const bind_field *f = t->fields; f->key; f++) {
        if (f->kind == BIND_INLINE)
            count = known_keys(f->table, known, count);
        else if (count < KNOWN_MAX)
            known[count++] = sx_str_z(f->key);
    }
    return count;
}

static void report_unknown(bind *b, const bind_table *t, const sx_yaml_node *map)
{
    sx_str known[KNOWN_MAX];
    size_t count = known_keys(t, known, 0), at = 0;
    const sx_yaml_node *key;
    while ((key = sx_yaml_unknown_key(map, known, count, &at))) {
        const sx_str *near = sx_nearest_word(key->scalar, known, count);
        if (near)
            bind_fault(b, key, "unknown field; did you mean \"%.*s\"?", SX_ARG(*near));
        else
            bind_fault(b, key, "unknown field");
    }
}

static void set_defaults(const bind_table *t, void *target)
{
    for (const bind_field *f = t->fields; f->key; f++) {
        bool part =
            f->kind == BIND_INLINE || (f->kind == BIND_STRUCT && !(f->flags & BIND_PRESENCE));
        if (part)
            set_defaults(f->table, (char *)target + f->at);
    }
    if (t->defaults)
        t->defaults(target);
}

/* Fields without defaults and checks: those of an inlined table are read with those around it. */
static sx_status read_fields(bind *b, const bind_table *t, const sx_yaml_node *map, void *target)
{
    for (const bind_field *f = t->fields; f->key; f++) {
        sx_status st = SX_OK;
        if (f->kind == BIND_INLINE) {
            st = read_fields(b, f->table, map, (char *)target + f->at);
            if (st == SX_OK && f->table->check)
                st = f->table->check(b, map, (char *)target + f->at);
        } else {
            const sx_yaml_node *value = sx_yaml_get(map, sx_str_z(f->key));
            if (value && !sx_yaml_is_null(value)) /* Go leaves the default for a null */
                st = bind_read_field(b, f, value, target);
        }
        if (st == SX_ENOMEM)
            return st;
    }
    return SX_OK;
}

sx_status bind_read(bind *b, const bind_table *t, const sx_yaml_node *map, void *target)
{
    memset(target, 0, t->size);
    set_defaults(t, target);
    bool none = !map || sx_yaml_is_null(map);
    sx_error err;
    if (!none && sx_yaml_expect(map, SX_YAML_MAPPING, &err) != SX_OK)
        return bind_fault(b, map, "%s", t->scalar_note ? t->scalar_note : "expected a mapping");
    uint32_t faults = b->faults;
    if (!none) {
        report_unknown(b, t, map);
        sx_status st = read_fields(b, t, map, target);
        if (st != SX_OK)
            return st;
    }
    if (t->check && b->faults == faults && map) /* what is broken already is not judged further */
        return t->check(b, map, target);
    return b->faults == faults ? SX_OK : SX_EFORMAT;
}
