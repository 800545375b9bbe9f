/* yaml_read.c - reading values out of a YAML tree, and saying where one is wrong. */
#include <sextant/yaml.h>

#include <stdio.h>

/* ---- Finding ---- */

static int compare_key(const sx_yaml_node *map, uint32_t pair, sx_str key)
{
    return sx_str_cmp(map->pairs[pair].key->scalar, key);
}

sx_yaml_node *sx_yaml_get(const sx_yaml_node *map, sx_str key)
{
    if (!map || map->kind != SX_YAML_MAPPING)
        return NULL;
    if (!map->sorted) {
        for (uint32_t i = 0; i < map->count; i++) {
            if (sx_str_eq(map->pairs[i].key->scalar, key))
                return map->pairs[i].value;
        }
        return NULL;
    }
    uint32_t low = 0, high = map->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = compare_key(map, map->sorted[middle], key);
        if (order == 0)
            return map->pairs[map->sorted[middle]].value;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- Meaning ---- */

typedef struct bool_word {
    sx_str text;
    bool value;
} bool_word;

static const bool_word CORE_BOOLS[] = {
    {SX_STR_INIT("true"), true},   {SX_STR_INIT("True"), true},   {SX_STR_INIT("TRUE"), true},
    {SX_STR_INIT("false"), false}, {SX_STR_INIT("False"), false}, {SX_STR_INIT("FALSE"), false},
};

static const bool_word OLD_BOOLS[] = {
    {SX_STR_INIT("yes"), true},  {SX_STR_INIT("Yes"), true},  {SX_STR_INIT("YES"), true},
    {SX_STR_INIT("on"), true},   {SX_STR_INIT("On"), true},   {SX_STR_INIT("ON"), true},
    {SX_STR_INIT("no"), false},  {SX_STR_INIT("No"), false},  {SX_STR_INIT("NO"), false},
    {SX_STR_INIT("off"), false}, {SX_STR_INIT("Off"), false}, {SX_STR_INIT("OFF"), false},
};

static const bool_word *find_word(const bool_word *words, size_t count, sx_str text)
{
    for (size_t i = 0; i < count; i++) {
        if (sx_str_eq(words[i].text, text))
            return &words[i];
    }
    return NULL;
}

static bool is_null_word(sx_str s)
{
    return s.len == 0 || sx_str_eq(s, SX_STR("~")) || sx_str_eq(s, SX_STR("null")) ||
           sx_str_eq(s, SX_STR("Null")) || sx_str_eq(s, SX_STR("NULL"));
}

static size_t count_digits(sx_str s, int base)
{
    size_t n = 0;
    while (n < s.len) {
        char c = s.data[n];
        bool decimal = c >= '0' && c < '0' + (base < 10 ? base : 10);
        bool hex = base == 16 && ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'));
        if (!decimal && !hex)
            break;
        n++;
    }
    return n;
}

static sx_str without_sign(sx_str s)
{
    return s.len && (s.data[0] == '-' || s.data[0] == '+') ? sx_str_from(s, 1) : s;
}

static bool is_int_word(sx_str s)
{
    if (sx_str_starts(s, SX_STR("0o")))
        return s.len > 2 && count_digits(sx_str_from(s, 2), 8) == s.len - 2;
    if (sx_str_starts(s, SX_STR("0x")))
        return s.len > 2 && count_digits(sx_str_from(s, 2), 16) == s.len - 2;
    s = without_sign(s);
    return s.len && count_digits(s, 10) == s.len;
}

/* [-+]? ( \. [0-9]+ | [0-9]+ ( \. [0-9]* )? ) ( [eE] [-+]? [0-9]+ )?, or .inf, or .nan */
static bool is_float_word(sx_str s)
{
    if (sx_str_eq(s, SX_STR(".nan")) || sx_str_eq(s, SX_STR(".NaN")) ||
        sx_str_eq(s, SX_STR(".NAN")))
        return true;
    s = without_sign(s);
    if (sx_str_eq(s, SX_STR(".inf")) || sx_str_eq(s, SX_STR(".Inf")) ||
        sx_str_eq(s, SX_STR(".INF")))
        return true;
    size_t whole = count_digits(s, 10), part = 0;
    s = sx_str_from(s, whole);
    if (s.len && s.data[0] == '.') {
        part = count_digits(sx_str_from(s, 1), 10);
        s = sx_str_from(s, part + 1);
    }
    if (whole + part == 0)
        return false;
    if (s.len == 0)
        return true;
    if (s.data[0] != 'e' && s.data[0] != 'E')
        return false;
    s = without_sign(sx_str_from(s, 1));
    return s.len && count_digits(s, 10) == s.len;
}

sx_yaml_type sx_yaml_type_of(const sx_yaml_node *node)
{
    static const struct {
        sx_str tag;
        sx_yaml_type type;
    } TAGS[] = {
        {SX_STR_INIT("tag:yaml.org,2002:null"), SX_YAML_TYPE_NULL},
        {SX_STR_INIT("tag:yaml.org,2002:bool"), SX_YAML_TYPE_BOOL},
        {SX_STR_INIT("tag:yaml.org,2002:int"), SX_YAML_TYPE_INT},
        {SX_STR_INIT("tag:yaml.org,2002:float"), SX_YAML_TYPE_FLOAT},
    };
    if (!node || node->kind != SX_YAML_SCALAR)
        return SX_YAML_TYPE_NONE;
    for (size_t i = 0; i < SX_COUNT_OF(TAGS); i++) {
        if (sx_str_eq(node->tag, TAGS[i].tag))
            return TAGS[i].type;
    }
    sx_str s = node->scalar;
    if (node->tag.len || node->style != SX_YAML_PLAIN)
        return SX_YAML_TYPE_STRING;
    if (is_null_word(s))
        return SX_YAML_TYPE_NULL;
    if (find_word(CORE_BOOLS, SX_COUNT_OF(CORE_BOOLS), s))
        return SX_YAML_TYPE_BOOL;
    if (is_int_word(s))
        return SX_YAML_TYPE_INT;
    return is_float_word(s) ? SX_YAML_TYPE_FLOAT : SX_YAML_TYPE_STRING;
}

bool sx_yaml_is_null(const sx_yaml_node *node)
{
    return !node || sx_yaml_type_of(node) == SX_YAML_TYPE_NULL;
}

static const char *kind_words(sx_yaml_kind kind)
{
    static const char *const WORDS[] = {
        [SX_YAML_SCALAR] = "a single value",
        [SX_YAML_SEQUENCE] = "a list",
        [SX_YAML_MAPPING] = "a mapping",
    };
    return WORDS[kind];
}

sx_status sx_yaml_expect(const sx_yaml_node *node, sx_yaml_kind kind, sx_error *err)
{
    if (node->kind == kind)
        return SX_OK;
    if (node->kind == SX_YAML_SCALAR)
        return sx_yaml_fail(node, SX_EFORMAT, err, "expected %s, found \"%.*s\"", kind_words(kind),
                            SX_ARG(sx_str_first(node->scalar, 60)));
    return sx_yaml_fail(node, SX_EFORMAT, err, "expected %s, found %s", kind_words(kind),
                        kind_words(node->kind));
}

sx_status sx_yaml_bool(const sx_yaml_node *node, bool *out, sx_error *err)
{
    sx_status status = sx_yaml_expect(node, SX_YAML_SCALAR, err);
    if (status != SX_OK)
        return status;
    const bool_word *found = NULL;
    if (node->style == SX_YAML_PLAIN) {
        found = find_word(CORE_BOOLS, SX_COUNT_OF(CORE_BOOLS), node->scalar);
        if (!found)
            found = find_word(OLD_BOOLS, SX_COUNT_OF(OLD_BOOLS), node->scalar);
    }
    if (!found)
        return sx_yaml_fail(node, SX_EFORMAT, err, "expected true or false, found %s\"%.*s\"",
                            node->style == SX_YAML_PLAIN ? "" : "the text ",
                            SX_ARG(sx_str_first(node->scalar, 60)));
    *out = found->value;
    return SX_OK;
}

sx_status sx_yaml_str(const sx_yaml_node *node, sx_str *out, sx_error *err)
{
    sx_status status = sx_yaml_expect(node, SX_YAML_SCALAR, err);
    if (status == SX_OK)
        *out = sx_yaml_is_null(node) ? sx_str_of("", 0) : node->scalar;
    return status;
}

/* Digits of `base`, "_" between them; false if there is anything else or it does not fit. */
static bool read_digits(sx_str s, unsigned base, uint64_t *out)
{
    uint64_t value = 0;
    if (s.len == 0 || s.data[0] == '_' || s.data[s.len - 1] == '_')
        return false;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];
        if (c == '_')
            continue;
        unsigned digit = 99;
        if (c >= '0' && c <= '9')
            digit = (unsigned)(c - '0');
        else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
            digit = (unsigned)((c | 0x20) - 'a') + 10;
        if (digit >= base || __builtin_mul_overflow(value, base, &value) ||
            __builtin_add_overflow(value, digit, &value))
            return false;
    }
    *out = value;
    return true;
}

static bool read_i64(sx_str s, int64_t *out)
{
    static const struct {
        sx_str prefix;
        unsigned base;
    } BASES[] = {{SX_STR_INIT("0x"), 16}, {SX_STR_INIT("0o"), 8}, {SX_STR_INIT("0b"), 2}};
    bool negative = s.len && s.data[0] == '-';
    unsigned base = 10;
    uint64_t size;
    s = without_sign(s);
    for (size_t i = 0; i < SX_COUNT_OF(BASES); i++) {
        if (sx_str_starts(s, BASES[i].prefix)) {
            base = BASES[i].base;
            s = sx_str_from(s, 2);
            break;
        }
    }
    if (!read_digits(s, base, &size) || size > (uint64_t)INT64_MAX + negative)
        return false;
    *out = negative ? (int64_t)(0 - size) : (int64_t)size;
    return true;
}

sx_status sx_yaml_i64(const sx_yaml_node *node, int64_t least, int64_t most, int64_t *out,
                      sx_error *err)
{
    int64_t value;
    sx_status status = sx_yaml_expect(node, SX_YAML_SCALAR, err);
    if (status != SX_OK)
        return status;
    if (node->style != SX_YAML_PLAIN || !read_i64(node->scalar, &value))
        return sx_yaml_fail(node, SX_EFORMAT, err, "expected a whole number, found %s\"%.*s\"",
                            node->style == SX_YAML_PLAIN ? "" : "the text ",
                            SX_ARG(sx_str_first(node->scalar, 60)));
    if (value < least || value > most)
        return sx_yaml_fail(node, SX_EINVAL, err, "%lld is not from %lld to %lld", (long long)value,
                            (long long)least, (long long)most);
    *out = value;
    return SX_OK;
}

/* ---- Messages ---- */

/* Appends one step of a path: how `node` is reached from its parent. */
static void put_step(const sx_yaml_node *node, sx_buf *out)
{
    const sx_yaml_node *parent = node->parent;
    if (parent->kind == SX_YAML_SEQUENCE) {
        for (uint32_t i = 0; i < parent->count; i++) {
            if (parent->items[i] == node)
                sx_buf_printf(out, "[%u]", i);
        }
        return;
    }
    for (uint32_t i = 0; i < parent->count; i++) {
        if (parent->pairs[i].value == node || parent->pairs[i].key == node) {
            sx_buf_printf(out, "%s%.*s", out->len ? "." : "", SX_ARG(parent->pairs[i].key->scalar));
            return;
        }
    }
}

void sx_yaml_path(const sx_yaml_node *node, sx_buf *out)
{
    /* From the top down without recursion: the k-th ancestor for falling k. Depth is bounded. */
    size_t depth = 0;
    for (const sx_yaml_node *n = node; n->parent; n = n->parent)
        depth++;
    sx_buf path; /* its own, as a dot depends on what is before */
    sx_buf_init(&path, 0);
    while (depth-- > 0) {
        const sx_yaml_node *step = node;
        for (size_t up = 0; up < depth; up++)
            step = step->parent;
        put_step(step, &path);
    }
    sx_buf_str(out, sx_buf_view(&path));
    sx_buf_done(&path);
}

sx_status sx_yaml_error_prefix(const sx_yaml_node *node, sx_status otherwise, sx_error *err)
{
    sx_buf path;
    sx_buf_init(&path, 0);
    sx_yaml_path(node, &path);
    /* Long paths are cut at their beginning: the end is what the reader looks for. */
    sx_str shown = sx_buf_view(&path);
    bool cut = shown.len > 160;
    if (cut)
        shown = sx_str_from(shown, shown.len - 160);
    if (shown.len)
        sx_error_prefix(err, otherwise, "%.*s:%u:%u: key \"%s%.*s\"", SX_ARG(node->file->name),
                        node->line, node->column, cut ? "..." : "", SX_ARG(shown));
    else
        sx_error_prefix(err, otherwise, "%.*s:%u:%u", SX_ARG(node->file->name), node->line,
                        node->column);
    sx_buf_done(&path);
    return err ? err->status : otherwise;
}

sx_status sx_yaml_fail(const sx_yaml_node *node, sx_status status, sx_error *err, const char *fmt,
                       ...)
{
    char text[SX_ERROR_MESSAGE_BYTES];
    va_list args;
    if (!err)
        return status;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    sx_fail(err, status, "%s", text);
    return sx_yaml_error_prefix(node, status, err);
}

const sx_yaml_node *sx_yaml_unknown_key(const sx_yaml_node *map, const sx_str *known, size_t count,
                                        size_t *at)
{
    while (map && map->kind == SX_YAML_MAPPING && *at < map->count) {
        const sx_yaml_node *key = map->pairs[(*at)++].key;
        bool found = false;
        for (size_t i = 0; i < count && !found; i++)
            found = sx_str_eq(known[i], key->scalar);
        if (!found)
            return key;
    }
    return NULL;
}

sx_status sx_yaml_check_keys(const sx_yaml_node *map, const sx_str *known, size_t count,
                             sx_error *err)
{
    size_t at = 0;
    const sx_yaml_node *key = sx_yaml_unknown_key(map, known, count, &at);
    if (!key)
        return SX_OK;
    const sx_str *near = sx_nearest_word(key->scalar, known, count);
    sx_buf path;
    sx_buf_init(&path, 0);
    sx_yaml_path(map, &path);
    sx_status status = sx_fail(err, SX_EFORMAT, "%.*s:%u:%u: unknown key \"%.*s\"%s%.*s%s%s%.*s%s",
                               SX_ARG(key->file->name), key->line, key->column,
                               SX_ARG(sx_str_first(key->scalar, 80)), path.len ? " in \"" : "",
                               SX_ARG(sx_str_first(sx_buf_view(&path), 160)), path.len ? "\"" : "",
                               near ? "; did you mean \"" : "",
                               SX_ARG(near ? *near : sx_str_of("", 0)), near ? "\"?" : "");
    sx_buf_done(&path);
    return status;
}

/* ---- The nearest word ---- */

enum { WORD_BYTES_MAX = 64 };

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

static unsigned least3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;
    return ab < c ? ab : c;
}

/* Optimal string alignment: Levenshtein's distance with swaps of neighbours. Both are within
 * WORD_BYTES_MAX. Three rows of the usual table are kept. */
static unsigned edit_distance(sx_str a, sx_str b)
{
    unsigned rows[3][WORD_BYTES_MAX + 1];
    for (unsigned j = 0; j <= b.len; j++)
        rows[0][j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned *row = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            char x = lower(a.data[i - 1]), y = lower(b.data[j - 1]);
            row[j] = least3(row[j - 1] + 1, last[j] + 1, last[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == lower(b.data[j - 2]) && y == lower(a.data[i - 2]) &&
                before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
    }
    return rows[a.len % 3][b.len];
}

const sx_str *sx_nearest_word(sx_str word, const sx_str *known, size_t count)
{
    const sx_str *best = NULL;
    unsigned least = (unsigned)(word.len < 3 ? 1 : word.len / 3) + 1;
    if (word.len == 0 || word.len > WORD_BYTES_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        if (known[i].len == 0 || known[i].len > WORD_BYTES_MAX)
            continue;
        unsigned distance = edit_distance(word, known[i]);
        if (distance < least && distance < known[i].len) {
            best = &known[i];
            least = distance;
        }
    }
    return best;
}
