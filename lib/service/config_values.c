/* config_values.c - see config_values.h. */
#include "service/config_values.h"

static void *field_of(const sx_key *key, void *into)
{
    return (char *)into + key->offset;
}

static const void *field_in(const sx_key *key, const void *from)
{
    return (const char *)from + key->offset;
}

/* ---- numbers ---- */

static const struct unit {
    sx_str name;
    int64_t size;
} BYTE_UNITS[] = {{SX_STR_INIT("GiB"), (int64_t)1 << 30},
                  {SX_STR_INIT("MiB"), 1 << 20},
                  {SX_STR_INIT("KiB"), 1 << 10},
                  {SX_STR_INIT("TiB"), (int64_t)1 << 40},
                  {SX_STR_INIT("GB"), 1000000000},
                  {SX_STR_INIT("MB"), 1000000},
                  {SX_STR_INIT("kB"), 1000},
                  {SX_STR_INIT("KB"), 1000},
                  {SX_STR_INIT("TB"), 1000000000000},
                  {SX_STR_INIT("B"), 1}},
  TIME_UNITS[] = {{SX_STR_INIT("d"), 86400000},
                  {SX_STR_INIT("h"), 3600000},
                  {SX_STR_INIT("m"), 60000},
                  {SX_STR_INIT("s"), 1000},
                  {SX_STR_INIT("ms"), 1}};

static const struct unit *find_unit(const struct unit *units, size_t count, sx_str name)
{
    for (size_t i = 0; i < count; i++)
        if (sx_str_eq(units[i].name, name))
            return &units[i];
    return NULL;
}

/* Takes `12ms` off the front of *text: digits and the letters after them. False if it is anything
 * else or too big. A number without letters is `bare`. */
static bool take_part(sx_str *text, const struct unit *units, size_t count, bool bare, int64_t *sum)
{
    size_t digits = 0, end;
    while (digits < text->len && text->data[digits] >= '0' && text->data[digits] <= '9')
        digits++;
    for (end = digits; end < text->len && !(text->data[end] >= '0' && text->data[end] <= '9');)
        end++;
    int64_t number, product;
    sx_str name = sx_str_of(text->data + digits, end - digits);
    const struct unit *unit = find_unit(units, count, name);
    if (!sx_str_to_i64(sx_str_first(*text, digits), &number) || (!unit && !(bare && !name.len)) ||
        __builtin_mul_overflow(number, unit ? unit->size : 1, &product) ||
        __builtin_add_overflow(*sum, product, sum))
        return false;
    *text = sx_str_from(*text, end);
    return true;
}

static bool read_number(sx_key_kind kind, sx_str text, int64_t *out)
{
    if (kind == SX_INT)
        return sx_str_to_i64(text, out);
    bool time = kind == SX_MS;
    const struct unit *units = time ? TIME_UNITS : BYTE_UNITS;
    size_t count = time ? SX_COUNT_OF(TIME_UNITS) : SX_COUNT_OF(BYTE_UNITS);
    *out = 0;
    if (!take_part(&text, units, count, true, out))
        return false;
    while (time && text.len > 0)
        if (!take_part(&text, units, count, false, out))
            return false;
    return text.len == 0;
}

void sx_key_write_number(sx_key_kind kind, int64_t value, sx_buf *out)
{
    if (kind == SX_BYTES) {
        for (size_t i = 0; i < 3; i++) /* GiB, MiB, KiB */
            if (value != 0 && value % BYTE_UNITS[i].size == 0) {
                sx_buf_i64(out, value / BYTE_UNITS[i].size);
                sx_buf_str(out, BYTE_UNITS[i].name);
                return;
            }
    } else if (kind == SX_MS && value > 0) {
        for (size_t i = 0; i < SX_COUNT_OF(TIME_UNITS); i++) {
            if (value < TIME_UNITS[i].size)
                continue;
            sx_buf_i64(out, value / TIME_UNITS[i].size);
            sx_buf_str(out, TIME_UNITS[i].name);
            value %= TIME_UNITS[i].size;
        }
        return;
    }
    sx_buf_i64(out, value);
}

static int64_t load_number(const sx_key *key, const void *from)
{
    const void *field = field_in(key, from);
    if (key->size == sizeof(int64_t))
        return *(const int64_t *)field;
    sx_assert(key->size == sizeof(int32_t));
    return key->least < 0 ? *(const int32_t *)field : (int64_t)*(const uint32_t *)field;
}

static void store_number(const sx_key *key, void *into, int64_t value)
{
    void *field = field_of(key, into);
    if (key->size == sizeof(int64_t)) {
        *(int64_t *)field = value;
    } else {
        sx_assert(key->size == sizeof(int32_t));
        *(int32_t *)field = (int32_t)value; /* the bits are a uint32_t's too */
    }
}

static int64_t most_of(const sx_key *key)
{
    if (key->most)
        return key->most;
    return key->size == sizeof(int64_t) ? INT64_MAX : key->least < 0 ? INT32_MAX : UINT32_MAX;
}

static sx_status out_of_bounds(const sx_key *key, sx_str text, sx_error *err)
{
    sx_buf bounds;
    sx_buf_init(&bounds, 0);
    sx_key_write_number(key->kind, key->least, &bounds);
    sx_buf_str(&bounds, SX_STR(" to "));
    sx_key_write_number(key->kind, most_of(key), &bounds);
    sx_status status = sx_fail(err, SX_EFORMAT, "%.*s is out of bounds; allowed is %.*s",
                               SX_ARG(text), SX_ARG(sx_buf_view(&bounds)));
    sx_buf_done(&bounds);
    return status;
}

static sx_status set_number(const sx_key *key, sx_str text, void *into, sx_error *err)
{
    static const char *const WANTED[SX_KEY_KINDS] = {
        [SX_INT] = "an integer",
        [SX_BYTES] = "a size such as 1048576, 64KiB or 10MB",
        [SX_MS] = "a time such as 500ms, 30s or 1h30m",
    };
    int64_t value;
    if (!read_number(key->kind, text, &value))
        return sx_fail(err, SX_EFORMAT, "'%.*s' is not %s", SX_ARG(text), WANTED[key->kind]);
    if (value < key->least || value > most_of(key))
        return out_of_bounds(key, text, err);
    store_number(key, into, value);
    return SX_OK;
}

/* ---- other kinds ---- */

static sx_status set_bool(const sx_key *key, sx_str text, void *into, sx_error *err)
{
    static const struct {
        sx_str word;
        bool value;
    } WORDS[] = {{SX_STR_INIT("true"), true}, {SX_STR_INIT("false"), false},
                 {SX_STR_INIT("yes"), true},  {SX_STR_INIT("no"), false},
                 {SX_STR_INIT("on"), true},   {SX_STR_INIT("off"), false},
                 {SX_STR_INIT("1"), true},    {SX_STR_INIT("0"), false}};
    sx_assert(key->size == sizeof(bool));
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++)
        if (sx_str_ieq(text, WORDS[i].word)) {
            *(bool *)field_of(key, into) = WORDS[i].value;
            return SX_OK;
        }
    return sx_fail(err, SX_EFORMAT, "'%.*s' is not true or false", SX_ARG(text));
}

static sx_status set_choice(const sx_key *key, sx_str text, void *into, sx_error *err)
{
    sx_assert(key->size == sizeof(int));
    sx_buf list;
    sx_buf_init(&list, 0);
    for (int i = 0; key->choices[i]; i++) {
        if (sx_str_eq(text, sx_str_z(key->choices[i]))) {
            *(int *)field_of(key, into) = i;
            sx_buf_done(&list);
            return SX_OK;
        }
        sx_buf_printf(&list, "%s%s", i ? ", " : "", key->choices[i]);
    }
    sx_status status = sx_fail(err, SX_EFORMAT, "'%.*s' is none of %.*s", SX_ARG(text),
                               SX_ARG(sx_buf_view(&list)));
    sx_buf_done(&list);
    return status;
}

static sx_status check_address(sx_str text, sx_error *err)
{
    if (text.len == 0 || sx_str_starts(text, SX_STR("unix:/")))
        return SX_OK;
    size_t colon = text.len;
    while (colon > 0 && text.data[colon - 1] != ':')
        colon--;
    uint64_t port;
    sx_str host = sx_str_first(text, colon ? colon - 1 : 0);
    bool bare_ipv6 = sx_str_find_byte(host, ':') < host.len &&
                     !(host.data[0] == '[' && host.data[host.len - 1] == ']');
    if (colon == 0 || !sx_str_to_u64(sx_str_from(text, colon), &port) || port > 65535 || bare_ipv6)
        return sx_fail(err, SX_EFORMAT,
                       "'%.*s' is not an address such as 127.0.0.1:8080, [::1]:0, :8080 or "
                       "unix:/path",
                       SX_ARG(text));
    return SX_OK;
}

static sx_status set_text(const sx_key *key, sx_str text, sx_arena *arena, void *into,
                          sx_error *err)
{
    sx_assert(key->size == sizeof(sx_str));
    sx_str copy = sx_arena_copy(arena, text);
    if (!copy.data)
        return sx_fail_memory(err, key->key);
    *(sx_str *)field_of(key, into) = copy;
    return SX_OK;
}

sx_status sx_key_read_items(const sx_key *key, const sx_str *items, size_t count, sx_arena *arena,
                            void *into, sx_error *err)
{
    sx_assert(key->kind == SX_TEXTS && key->size == sizeof(sx_texts));
    sx_str *copies = (sx_str *)sx_arena_calloc(arena, count + 1, sizeof(*copies));
    if (!copies)
        return sx_fail_memory(err, key->key);
    for (size_t i = 0; i < count; i++) {
        copies[i] = sx_arena_copy(arena, items[i]);
        if (!copies[i].data)
            return sx_fail_memory(err, key->key);
    }
    *(sx_texts *)field_of(key, into) = (sx_texts){copies, count};
    return SX_OK;
}

static sx_status set_texts(const sx_key *key, sx_str text, sx_arena *arena, void *into,
                           sx_error *err)
{
    sx_str *items = NULL;
    size_t cap = 0, count = 0;
    for (bool more = text.len > 0; more;) {
        sx_str item;
        more = sx_str_cut(text, ',', &item, &text);
        if (!sx_arena_grow(arena, &items, &cap, count + 1, sizeof(*items)))
            return sx_fail_memory(err, key->key);
        items[count++] = sx_str_trim(item);
    }
    return sx_key_read_items(key, items, count, arena, into, err);
}

sx_status sx_key_read(const sx_key *key, sx_str text, sx_arena *arena, void *into, sx_error *err)
{
    sx_status status;
    switch (key->kind) {
    case SX_BOOL:
        return set_bool(key, text, into, err);
    case SX_INT:
    case SX_BYTES:
    case SX_MS:
        return set_number(key, text, into, err);
    case SX_CHOICE:
        return set_choice(key, text, into, err);
    case SX_TEXTS:
        return set_texts(key, text, arena, into, err);
    case SX_ADDRESS:
        status = check_address(text, err);
        return status ? status : set_text(key, text, arena, into, err);
    default:
        return set_text(key, text, arena, into, err);
    }
}

sx_status sx_key_default(const sx_key *key, sx_arena *arena, void *into, sx_error *err)
{
    switch (key->kind) {
    case SX_BOOL:
        sx_assert(key->size == sizeof(bool));
        *(bool *)field_of(key, into) = key->usual != 0;
        return SX_OK;
    case SX_INT:
    case SX_BYTES:
    case SX_MS:
        store_number(key, into, key->usual);
        return SX_OK;
    case SX_CHOICE:
        sx_assert(key->size == sizeof(int));
        *(int *)field_of(key, into) = (int)key->usual;
        return SX_OK;
    default:
        return sx_key_read(key, sx_str_z(key->text), arena, into, err);
    }
}

void sx_key_write(const sx_key *key, const void *from, sx_buf *out)
{
    const void *field = field_in(key, from);
    const sx_texts *list;
    switch (key->kind) {
    case SX_BOOL:
        sx_buf_str(out, *(const bool *)field ? SX_STR("true") : SX_STR("false"));
        break;
    case SX_INT:
    case SX_BYTES:
    case SX_MS:
        sx_key_write_number(key->kind, load_number(key, from), out);
        break;
    case SX_CHOICE:
        sx_buf_str(out, sx_str_z(key->choices[*(const int *)field]));
        break;
    case SX_TEXTS:
        list = (const sx_texts *)field;
        for (size_t i = 0; i < list->count; i++) {
            if (i > 0)
                sx_buf_byte(out, ',');
            sx_buf_str(out, list->items[i]);
        }
        break;
    default:
        sx_buf_str(out, *(const sx_str *)field);
        break;
    }
}

bool sx_key_equal(const sx_key *key, const void *a, const void *b)
{
    const sx_texts *left, *right;
    switch (key->kind) {
    case SX_TEXT:
    case SX_ADDRESS:
        return sx_str_eq(*(const sx_str *)field_in(key, a), *(const sx_str *)field_in(key, b));
    case SX_TEXTS:
        left = (const sx_texts *)field_in(key, a);
        right = (const sx_texts *)field_in(key, b);
        for (size_t i = 0; left->count == right->count && i < left->count; i++)
            if (!sx_str_eq(left->items[i], right->items[i]))
                return false;
        return left->count == right->count;
    default:
        return memcmp(field_in(key, a), field_in(key, b), key->size) == 0;
    }
}
