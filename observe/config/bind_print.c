/* bind_print.c - structs as YAML by the tables that they were read by, secrets masked. */
#include <sextant/number.h>

#include "observe/config/bind.h"
#include "observe/config/config.h"
#include "observe/promql/parse.h"

static const char MASK[] = "<secret>";

static void spaces(sx_buf *out, int count)
{
    for (int i = 0; i < count; i++)
        sx_buf_byte(out, ' ');
}

static void begin_key(sx_buf *out, int indent, const char *key)
{
    spaces(out, indent);
    sx_buf_str(out, sx_str_z(key));
    sx_buf_byte(out, ':');
}

/* Whether YAML would read a plain text as something else than this text. */
static bool must_quote(sx_str s)
{
    static const char FIRST[] = "!&*-?:,[]{}#|>@`\"'% =<";
    sx_yaml_node plain = {.kind = SX_YAML_SCALAR, .style = SX_YAML_PLAIN, .scalar = s};
    if (s.len == 0 || sx_yaml_type_of(&plain) != SX_YAML_TYPE_STRING)
        return true;
    static const char *const WORDS[] = {"y", "n", "yes", "no", "on", "off"}; /* of YAML 1.1 */
    for (size_t i = 0; i < SX_COUNT_OF(WORDS); i++) {
        if (sx_str_ieq(s, sx_str_z(WORDS[i])))
            return true;
    }
    if (strchr(FIRST, s.data[0]) || s.data[s.len - 1] == ' ' || s.data[s.len - 1] == ':')
        return true;
    for (size_t i = 0; i < s.len; i++) {
        char next = i + 1 < s.len ? s.data[i + 1] : 0;
        if ((s.data[i] == ':' && next == ' ') || (s.data[i] == ' ' && next == '#'))
            return true;
    }
    return false;
}

static bool has_controls(sx_str s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.data[i] < ' ' || (unsigned char)s.data[i] == 0x7f)
            return true;
    }
    return false;
}

void bind_print_text(sx_str text, sx_buf *out)
{
    if (has_controls(text)) {
        tsdb_quote(text, out); /* Go's escapes are YAML's */
        return;
    }
    if (!must_quote(text)) {
        sx_buf_str(out, text);
        return;
    }
    bool single = sx_str_find_byte(text, '"') < text.len || sx_str_find_byte(text, '\\') < text.len;
    char quote = single ? '\'' : '"';
    sx_buf_byte(out, quote);
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] == quote)
            sx_buf_byte(out, quote);
        sx_buf_byte(out, text.data[i]);
    }
    sx_buf_byte(out, quote);
}

void bind_print_bytes(uint64_t bytes, sx_buf *out)
{
    static const char *const UNITS[] = {"EiB", "PiB", "TiB", "GiB", "MiB", "KiB", "B"};
    if (bytes == 0) {
        sx_buf_str(out, SX_STR("0B"));
        return;
    }
    for (int i = 0; i < 7; i++) {
        uint64_t unit = UINT64_C(1) << (10 * (6 - i));
        if (bytes / unit)
            sx_buf_printf(out, "%llu%s", (unsigned long long)(bytes / unit), UNITS[i]);
        bytes %= unit;
    }
}

static void print_strings(sx_buf *out, int indent, const bind_field *f, const void *target)
{
    const sx_str *items = *(const sx_str *const *)(const void *)((const char *)target + f->at);
    uint32_t count = *(const uint32_t *)(const void *)((const char *)target + f->count_at);
    begin_key(out, indent, f->key);
    sx_buf_byte(out, '\n');
    for (uint32_t i = 0; i < count; i++) {
        spaces(out, indent);
        sx_buf_str(out, SX_STR("- "));
        bind_print_text(f->flags & BIND_MASKED ? sx_str_z(MASK) : items[i], out);
        sx_buf_byte(out, '\n');
    }
}

static void print_pairs(sx_buf *out, int indent, const bind_field *f, const tsdb_label *items,
                        uint32_t count)
{
    begin_key(out, indent, f->key);
    sx_buf_byte(out, '\n');
    for (uint32_t i = 0; i < count; i++) {
        spaces(out, indent + 2);
        bind_print_text(items[i].name, out);
        sx_buf_str(out, SX_STR(": "));
        bind_print_text(f->flags & BIND_MASKED ? sx_str_z(MASK) : items[i].value, out);
        sx_buf_byte(out, '\n');
    }
}

/* The values of a name follow each other. */
static void print_multimap(sx_buf *out, int indent, const bind_field *f, const void *target)
{
    const tsdb_label *rows =
        *(const tsdb_label *const *)(const void *)((const char *)target + f->at);
    uint32_t count = *(const uint32_t *)(const void *)((const char *)target + f->count_at);
    if (count)
        begin_key(out, indent, f->key);
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || !sx_str_eq(rows[i].name, rows[i - 1].name)) {
            sx_buf_byte(out, '\n');
            spaces(out, indent + 2);
            bind_print_text(rows[i].name, out);
            sx_buf_byte(out, ':');
        }
        sx_buf_byte(out, '\n');
        spaces(out, indent + 2);
        sx_buf_str(out, SX_STR("- "));
        bind_print_text(f->flags & BIND_MASKED ? sx_str_z(MASK) : rows[i].value, out);
    }
    if (count)
        sx_buf_byte(out, '\n');
}

/* A list item: its first line begins with a dash where the others have two spaces. */
static void print_item(const bind_table *t, const void *item, int indent, sx_buf *out)
{
    size_t begin = out->len;
    bind_print(t, item, indent + 2, out);
    if (out->len > begin + (size_t)indent)
        out->data[begin + (size_t)indent] = '-';
    else
        sx_buf_printf(out, "%*s- {}\n", indent, "");
}

static void print_structs(sx_buf *out, int indent, const bind_field *f, const void *target)
{
    const char *items = *(const char *const *)(const void *)((const char *)target + f->at);
    uint32_t count = *(const uint32_t *)(const void *)((const char *)target + f->count_at);
    if (count == 0)
        return;
    begin_key(out, indent, f->key);
    sx_buf_byte(out, '\n');
    for (uint32_t i = 0; i < count; i++)
        print_item(f->table, items + i * f->table->size, indent, out);
}

static void print_struct(sx_buf *out, int indent, const bind_field *f, const void *target)
{
    bool asked = f->flags & BIND_PRESENCE;
    if (asked && !*(const bool *)((const char *)target + f->count_at))
        return;
    sx_buf inner;
    sx_buf_init(&inner, 0);
    bind_print(f->table, (const char *)target + f->at, indent + 2, &inner);
    if (inner.len) {
        begin_key(out, indent, f->key);
        sx_buf_byte(out, '\n');
        sx_buf_str(out, sx_buf_view(&inner));
    } else if (asked) {
        begin_key(out, indent, f->key);
        sx_buf_str(out, SX_STR(" {}\n"));
    }
    out->failed |= inner.failed;
    sx_buf_done(&inner);
}

static const char *choice_word(const bind_field *f, int value)
{
    for (const bind_choice *c = f->choices; c->word; c++) {
        if (c->value == value)
            return c->word;
    }
    return "";
}

/* A scalar's text in `out`; false: it is empty and need not be printed. */
static bool scalar_text(const bind_field *f, const void *at, sx_buf *out)
{
    char text[64];
    const prom_secret *secret = at;
    double number;
    switch (f->kind) {
    case BIND_STR:
    case BIND_PATH:
        bind_print_text(*(const sx_str *)at, out);
        return ((const sx_str *)at)->len > 0;
    case BIND_BOOL:
        sx_buf_str(out, sx_str_z(*(const bool *)at ? "true" : "false"));
        return *(const bool *)at;
    case BIND_TRI:
        sx_buf_str(out, sx_str_z(*(const uint8_t *)at == BIND_TRUE ? "true" : "false"));
        return *(const uint8_t *)at != BIND_UNSET;
    case BIND_MS:
        promql_print_duration(*(const int64_t *)at, text);
        sx_buf_str(out, sx_str_z(text));
        return *(const int64_t *)at != 0;
    case BIND_BYTES:
        bind_print_bytes(*(const uint64_t *)at, out);
        return *(const uint64_t *)at != 0;
    case BIND_U16:
        sx_buf_u64(out, *(const uint16_t *)at);
        return *(const uint16_t *)at != 0;
    case BIND_U32:
        sx_buf_u64(out, *(const uint32_t *)at);
        return *(const uint32_t *)at != 0;
    case BIND_U64:
        sx_buf_u64(out, *(const uint64_t *)at);
        return *(const uint64_t *)at != 0;
    case BIND_DOUBLE:
        memcpy(&number, at, sizeof number);
        sx_double_format(number, SX_DOUBLE_GO, text);
        sx_buf_str(out, sx_str_z(text));
        return number != 0;
    case BIND_CHOICE:
        bind_print_text(sx_str_z(choice_word(f, *(const int *)at)), out);
        return choice_word(f, *(const int *)at)[0] != '\0';
    case BIND_SECRET:
        sx_buf_str(out, sx_str_z(MASK));
        return secret->text.len > 0;
    case BIND_SECRET_FILE:
        bind_print_text(secret->file, out);
        return secret->file.len > 0;
    default:
        return false;
    }
}

static void print_scalar(sx_buf *out, int indent, const bind_field *f, const void *target)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    if (scalar_text(f, (const char *)target + f->at, &text) || (f->flags & BIND_ALWAYS)) {
        begin_key(out, indent, f->key);
        sx_buf_byte(out, ' ');
        sx_buf_str(out, sx_buf_view(&text));
        sx_buf_byte(out, '\n');
    }
    out->failed |= text.failed;
    sx_buf_done(&text);
}

static void print_field(sx_buf *out, int indent, const bind_field *f, const void *target)
{
    const void *at = (const char *)target + f->at;
    const tsdb_labels *labels = at;
    uint32_t count;
    switch (f->kind) {
    case BIND_STRS:
    case BIND_PATHS:
        count = *(const uint32_t *)(const void *)((const char *)target + f->count_at);
        if (count)
            print_strings(out, indent, f, target);
        break;
    case BIND_MAP:
        count = *(const uint32_t *)(const void *)((const char *)target + f->count_at);
        if (count)
            print_pairs(out, indent, f, *(const tsdb_label *const *)at, count);
        break;
    case BIND_MULTIMAP:
        print_multimap(out, indent, f, target);
        break;
    case BIND_LABELS:
        if (labels->count)
            print_pairs(out, indent, f, labels->items, labels->count);
        break;
    case BIND_STRUCT:
        print_struct(out, indent, f, target);
        break;
    case BIND_STRUCTS:
        print_structs(out, indent, f, target);
        break;
    case BIND_INLINE:
        bind_print(f->table, at, indent, out);
        break;
    case BIND_CUSTOM:
        if (f->print)
            f->print(out, indent, target, f);
        break;
    case BIND_NOTHING:
    case BIND_REFUSED:
    case BIND_SECRET_REF:
        break;
    default:
        print_scalar(out, indent, f, target);
    }
}

void bind_print(const bind_table *t, const void *target, int indent, sx_buf *out)
{
    for (const bind_field *f = t->fields; f->key; f++)
        print_field(out, indent, f, target);
}
