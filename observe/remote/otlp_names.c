/* otlp_names.c - OpenTelemetry's names of metrics, units and attributes as Prometheus has them.
 * Source: OpenTelemetry, compatibility/prometheus_and_openmetrics.md; Prometheus's documentation of
 * translation_strategy. */
#include "observe/remote/otlp.h"

typedef struct unit_word {
    sx_str from, to;
} unit_word;

static const unit_word UNITS[] = {
    {SX_STR_INIT("d"), SX_STR_INIT("days")},
    {SX_STR_INIT("h"), SX_STR_INIT("hours")},
    {SX_STR_INIT("min"), SX_STR_INIT("minutes")},
    {SX_STR_INIT("s"), SX_STR_INIT("seconds")},
    {SX_STR_INIT("ms"), SX_STR_INIT("milliseconds")},
    {SX_STR_INIT("us"), SX_STR_INIT("microseconds")},
    {SX_STR_INIT("ns"), SX_STR_INIT("nanoseconds")},
    {SX_STR_INIT("By"), SX_STR_INIT("bytes")},
    {SX_STR_INIT("KiBy"), SX_STR_INIT("kibibytes")},
    {SX_STR_INIT("MiBy"), SX_STR_INIT("mebibytes")},
    {SX_STR_INIT("GiBy"), SX_STR_INIT("gibibytes")},
    {SX_STR_INIT("TiBy"), SX_STR_INIT("tibibytes")},
    {SX_STR_INIT("KBy"), SX_STR_INIT("kilobytes")},
    {SX_STR_INIT("MBy"), SX_STR_INIT("megabytes")},
    {SX_STR_INIT("GBy"), SX_STR_INIT("gigabytes")},
    {SX_STR_INIT("TBy"), SX_STR_INIT("terabytes")},
    {SX_STR_INIT("m"), SX_STR_INIT("meters")},
    {SX_STR_INIT("V"), SX_STR_INIT("volts")},
    {SX_STR_INIT("A"), SX_STR_INIT("amperes")},
    {SX_STR_INIT("J"), SX_STR_INIT("joules")},
    {SX_STR_INIT("W"), SX_STR_INIT("watts")},
    {SX_STR_INIT("g"), SX_STR_INIT("grams")},
    {SX_STR_INIT("Cel"), SX_STR_INIT("celsius")},
    {SX_STR_INIT("Hz"), SX_STR_INIT("hertz")},
    {SX_STR_INIT("1"), SX_STR_INIT("")},
    {SX_STR_INIT("%"), SX_STR_INIT("percent")},
};

static const unit_word PER_UNITS[] = {
    {SX_STR_INIT("s"), SX_STR_INIT("second")}, {SX_STR_INIT("m"), SX_STR_INIT("minute")},
    {SX_STR_INIT("h"), SX_STR_INIT("hour")},   {SX_STR_INIT("d"), SX_STR_INIT("day")},
    {SX_STR_INIT("w"), SX_STR_INIT("week")},   {SX_STR_INIT("mo"), SX_STR_INIT("month")},
    {SX_STR_INIT("y"), SX_STR_INIT("year")},
};

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* What a metric's name may hold, but for underscores, which stand between its words. */
static bool is_word(char c)
{
    return is_letter(c) || is_digit(c) || c == ':';
}

static sx_str word_of(const unit_word *words, size_t count, sx_str from)
{
    for (size_t i = 0; i < count; i++)
        if (sx_str_eq(words[i].from, from))
            return words[i].to;
    return from;
}

/* The words of a unit: before the slash, and behind it (without "per"). Units in braces say nothing. */
static void unit_words(sx_str unit, sx_str *main_unit, sx_str *per_unit)
{
    sx_str first, second;
    sx_str_cut(unit, '/', &first, &second);
    first = sx_str_trim_all(first);
    second = sx_str_trim_all(second);
    *main_unit = *per_unit = SX_STR("");
    if (first.len && sx_str_find_byte(first, '{') == first.len &&
        sx_str_find_byte(first, '}') == first.len)
        *main_unit = word_of(UNITS, sizeof UNITS / sizeof *UNITS, first);
    if (second.len && sx_str_find_byte(second, '{') == second.len &&
        sx_str_find_byte(second, '}') == second.len)
        *per_unit = word_of(PER_UNITS, sizeof PER_UNITS / sizeof *PER_UNITS, second);
}

/* `prefix` and `unit` with what a name may not hold as single underscores, none in front. */
static sx_str clean_unit(sx_arena *arena, sx_str prefix, sx_str unit)
{
    char *to = sx_arena_alloc(arena, prefix.len + unit.len + 1);
    size_t len = 0;
    if (!to)
        return sx_str_of(NULL, 0);
    for (unsigned part = 0; part < 2; part++) {
        sx_str from = part ? unit : prefix;
        for (size_t i = 0; i < from.len; i++) {
            char c = is_word(from.data[i]) ? from.data[i] : '_';
            if (c != '_' || (len && to[len - 1] != '_'))
                to[len++] = c;
        }
    }
    return sx_str_of(to, len);
}

static sx_str without_last(sx_str s, char c)
{
    return s.len && s.data[s.len - 1] == c ? sx_str_first(s, s.len - 1) : s;
}

/* --- A metric's name as words. */

typedef struct name_words {
    sx_str *items;
    size_t count, cap;
    sx_arena *arena;
    bool failed;
} name_words;

static void add_word(name_words *n, sx_str word)
{
    if (sx_arena_grow(n->arena, &n->items, &n->cap, n->count + 1, sizeof *n->items))
        n->items[n->count++] = word;
    else
        n->failed = true;
}

static bool has_word(const name_words *n, sx_str word)
{
    for (size_t i = 0; i < n->count; i++)
        if (sx_str_eq(n->items[i], word))
            return true;
    return false;
}

/* The word comes last, and nowhere else. */
static void put_last(name_words *n, sx_str word)
{
    size_t kept = 0;
    for (size_t i = 0; i < n->count; i++)
        if (!sx_str_eq(n->items[i], word))
            n->items[kept++] = n->items[i];
    n->count = kept;
    add_word(n, word);
}

static void split_name(name_words *n, sx_str name, bool underscores_stay)
{
    size_t from = 0;
    for (size_t i = 0; i <= name.len; i++) {
        bool inside =
            i < name.len && (is_word(name.data[i]) || (underscores_stay && name.data[i] == '_'));
        if (inside)
            continue;
        if (i > from)
            add_word(n, sx_str_of(name.data + from, i - from));
        from = i + 1;
    }
}

static void add_unit(name_words *n, sx_str unit)
{
    sx_str main_unit, per_unit;
    unit_words(unit, &main_unit, &per_unit);
    main_unit = clean_unit(n->arena, SX_STR(""), main_unit);
    if (per_unit.len)
        per_unit = clean_unit(n->arena, SX_STR("per_"), per_unit);
    if (!main_unit.data || !per_unit.data) {
        n->failed = true;
        return;
    }
    if (has_word(n, main_unit))
        main_unit.len = 0;
    if (sx_str_eq(per_unit, SX_STR("per_")))
        per_unit.len = 0;
    per_unit = without_last(per_unit, '_');
    if (has_word(n, per_unit))
        per_unit.len = 0;
    if (per_unit.len)
        main_unit = without_last(main_unit, '_');
    if (main_unit.len)
        add_word(n, main_unit);
    if (per_unit.len)
        add_word(n, per_unit);
}

static sx_str join_words(const name_words *n)
{
    size_t len = 1;
    for (size_t i = 0; i < n->count; i++)
        len += n->items[i].len + 1;
    char *to = n->failed ? NULL : sx_arena_alloc(n->arena, len), *at = to;
    if (!to)
        return sx_str_of(NULL, 0);
    if (n->count && is_digit(n->items[0].data[0]))
        *at++ = '_';
    for (size_t i = 0; i < n->count; i++) {
        if (i)
            *at++ = '_';
        memcpy(at, n->items[i].data, n->items[i].len);
        at += n->items[i].len;
    }
    return sx_str_of(to, (size_t)(at - to));
}

static bool only_underscores(sx_str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] != '_')
            return false;
    return true;
}

/* --- Names in UTF-8 keep their characters. */

static sx_str cut_suffix(sx_str name, sx_str suffix)
{
    return sx_str_ends(name, suffix) && name.len > suffix.len + 1
               ? sx_str_first(name, name.len - suffix.len - 1)
               : name;
}

static sx_status utf8_name(sx_arena *arena, sx_str name, sx_str unit, otlp_kind kind,
                           bool monotonic, sx_str *out, sx_error *err)
{
    bool ratio = kind == OTLP_GAUGE && sx_str_eq(unit, SX_STR("1"));
    bool total = kind == OTLP_SUM && monotonic;
    sx_str main_unit, per_unit, per = SX_STR("");
    unit_words(unit, &main_unit, &per_unit);
    if (ratio)
        name = cut_suffix(name, SX_STR("ratio"));
    if (total)
        name = cut_suffix(name, SX_STR("total"));
    if (per_unit.len) {
        per = sx_arena_printf(arena, "per_%.*s", SX_ARG(per_unit));
        name = cut_suffix(name, per);
    }
    if (main_unit.len && sx_str_ends(name, main_unit))
        main_unit.len = 0;
    *out = sx_arena_printf(arena, "%.*s%s%.*s%s%.*s%s%s", SX_ARG(name), main_unit.len ? "_" : "",
                           SX_ARG(main_unit), per_unit.len ? "_" : "", SX_ARG(per),
                           total ? "_total" : "", ratio ? "_ratio" : "");
    return out->data ? SX_OK : sx_fail_memory(err, "a metric's name");
}

sx_status otlp_metric_name(const prom_otlp_config *config, sx_arena *arena, sx_str name,
                           sx_str unit, otlp_kind kind, bool monotonic, sx_str *out, sx_error *err)
{
    bool suffixes = config->strategy == PROM_OTLP_UNDERSCORES_SUFFIXES ||
                    config->strategy == PROM_OTLP_UTF8_SUFFIXES;
    if (config->strategy == PROM_OTLP_NONE) {
        *out = name;
        return SX_OK;
    }
    if (config->strategy == PROM_OTLP_UTF8_SUFFIXES)
        return utf8_name(arena, name, unit, kind, monotonic, out, err);
    name_words words = {.arena = arena};
    split_name(&words, name, !suffixes);
    if (suffixes) {
        add_unit(&words, unit);
        if (kind == OTLP_SUM && monotonic)
            put_last(&words, SX_STR("total"));
        if (kind == OTLP_GAUGE && sx_str_eq(unit, SX_STR("1")))
            put_last(&words, SX_STR("ratio"));
    }
    *out = join_words(&words);
    if (!out->data)
        return sx_fail_memory(err, "a metric's name");
    if (out->len == 0)
        return sx_fail(err, SX_EINVAL, "normalization for metric \"%.*s\" resulted in empty name",
                       SX_ARG(name));
    if (!sx_str_eq(*out, name) && only_underscores(*out))
        return sx_fail(err, SX_EINVAL,
                       "normalization for metric \"%.*s\" resulted in invalid name \"%.*s\"",
                       SX_ARG(name), SX_ARG(*out));
    return SX_OK;
}

/* --- Labels. */

/* How many bytes the character at `i` has; a byte that begins none is one of its own. */
static size_t character_len(sx_str s, size_t i)
{
    uint8_t c = (uint8_t)s.data[i];
    size_t len = c < 0xc2 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 1;
    if (i + len > s.len)
        return 1;
    for (size_t k = 1; k < len; k++)
        if (((uint8_t)s.data[i + k] & 0xc0) != 0x80)
            return 1;
    return len;
}

/* Characters that a label name may not hold become underscores; several in a row one, unless they are
 * to stay. Returns the length. */
static size_t escape_label(sx_str name, bool collapse, char *to)
{
    size_t len = 0;
    for (size_t i = 0; i < name.len; i += character_len(name, i)) {
        bool fine = is_letter(name.data[i]) || is_digit(name.data[i]);
        if (fine)
            to[len++] = name.data[i];
        else if (!collapse || len == 0 || to[len - 1] != '_')
            to[len++] = '_';
    }
    return len;
}

sx_status otlp_label_name(const prom_otlp_config *config, sx_arena *arena, sx_str name, sx_str *out,
                          sx_error *err)
{
    bool utf8 = config->strategy == PROM_OTLP_UTF8_SUFFIXES || config->strategy == PROM_OTLP_NONE;
    if (name.len == 0)
        return sx_fail(err, SX_EINVAL, "label name is empty");
    if (utf8) {
        if (only_underscores(name))
            return sx_fail(err, SX_EINVAL, "label name \"%.*s\" contains only underscores",
                           SX_ARG(name));
        *out = name;
        return SX_OK;
    }
    bool collapse = !config->keep_underscores;
    bool reserved = collapse && name.len >= 4 && sx_str_starts(name, SX_STR("__")) &&
                    sx_str_ends(name, SX_STR("__"));
    char *to = sx_arena_alloc(arena, name.len + 8), *at;
    if (!to)
        return sx_fail_memory(err, "a label's name");
    at = to + 4; /* room for what may come in front */
    size_t len;
    if (reserved) {
        at[0] = at[1] = '_';
        len = 2 + escape_label(sx_str_of(name.data + 2, name.len - 4), true, at + 2);
        at[len++] = '_';
        at[len++] = '_';
    } else {
        len = escape_label(name, collapse, at);
    }
    sx_str text = sx_str_of(at, len);
    if (is_digit(at[0])) {
        memcpy(at - 4, "key_", 4);
        text = sx_str_of(at - 4, len + 4);
    } else if (config->name_sanitization && at[0] == '_' && !sx_str_starts(text, SX_STR("__"))) {
        memcpy(at - 3, "key", 3);
        text = sx_str_of(at - 3, len + 3);
    }
    if (only_underscores(text))
        return sx_fail(err, SX_EINVAL,
                       "normalization for label name \"%.*s\" resulted in invalid name \"%.*s\"",
                       SX_ARG(name), SX_ARG(text));
    *out = text;
    return SX_OK;
}

sx_str otlp_unit_name(sx_arena *arena, sx_str unit)
{
    sx_str main_unit, per_unit;
    unit_words(unit, &main_unit, &per_unit);
    main_unit = clean_unit(arena, SX_STR(""), main_unit);
    if (per_unit.len)
        per_unit = clean_unit(arena, SX_STR("per_"), per_unit);
    if (!main_unit.data || !per_unit.data)
        return sx_str_of(NULL, 0);
    sx_str text = sx_arena_printf(arena, "%.*s%s%.*s", SX_ARG(main_unit),
                                  main_unit.len && per_unit.len ? "_" : "", SX_ARG(per_unit));
    return text.data ? without_last(text, '_') : text;
}
