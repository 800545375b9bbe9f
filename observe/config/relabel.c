/* relabel.c - relabelling rules: checked when they are read, applied to label sets. */
#include "observe/config/relabel.h"

#include <openssl/evp.h>

#include <sextant/utf8.h>

enum { JOINED_BYTES = 256 }; /* of source values that need no memory */

static const sx_str ACTIONS[PROM_RELABEL_ACTIONS] = {
    [PROM_RELABEL_REPLACE] = SX_STR_INIT("replace"),
    [PROM_RELABEL_KEEP] = SX_STR_INIT("keep"),
    [PROM_RELABEL_DROP] = SX_STR_INIT("drop"),
    [PROM_RELABEL_KEEPEQUAL] = SX_STR_INIT("keepequal"),
    [PROM_RELABEL_DROPEQUAL] = SX_STR_INIT("dropequal"),
    [PROM_RELABEL_HASHMOD] = SX_STR_INIT("hashmod"),
    [PROM_RELABEL_LABELMAP] = SX_STR_INIT("labelmap"),
    [PROM_RELABEL_LABELDROP] = SX_STR_INIT("labeldrop"),
    [PROM_RELABEL_LABELKEEP] = SX_STR_INIT("labelkeep"),
    [PROM_RELABEL_LOWERCASE] = SX_STR_INIT("lowercase"),
    [PROM_RELABEL_UPPERCASE] = SX_STR_INIT("uppercase"),
};

static const sx_str DEFAULT_SEPARATOR = SX_STR_INIT(";"), DEFAULT_REGEX = SX_STR_INIT("(.*)"),
                    DEFAULT_REPLACEMENT = SX_STR_INIT("$1");

sx_str prom_relabel_action_name(prom_relabel_action a)
{
    return a < PROM_RELABEL_ACTIONS ? ACTIONS[a] : (sx_str){0};
}

prom_relabel_action prom_relabel_action_find(sx_str name)
{
    int a = 0;
    while (a < PROM_RELABEL_ACTIONS && !sx_str_ieq(ACTIONS[a], name))
        a++;
    return (prom_relabel_action)a;
}

/* --- Checks. */

static bool has_variable(sx_str text)
{
    return sx_str_find_byte(text, '$') < text.len;
}

static bool is_word_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

/* The bytes of $name or ${name} that `s` begins with; 0 if it does not. */
static size_t variable_len(sx_str s)
{
    size_t at = 1;
    bool braced = s.len > 1 && s.data[1] == '{';
    at += braced;
    size_t first = at;
    while (at < s.len && is_word_byte(s.data[at]))
        at++;
    if (at == first || (braced && (at == s.len || s.data[at] != '}')))
        return 0;
    return at + braced;
}

/* A name in which variables may stand wherever a letter may; its first byte is no digit. */
static bool is_legacy_template(sx_str name)
{
    for (size_t i = 0; i < name.len;) {
        if (name.data[i] == '$') {
            size_t len = variable_len(sx_str_from(name, i));
            if (len == 0)
                return false;
            i += len;
            continue;
        }
        bool digit = name.data[i] >= '0' && name.data[i] <= '9';
        if (!is_word_byte(name.data[i]) || (digit && i == 0))
            return false;
        i++;
    }
    return name.len > 0;
}

static bool is_label_name(const prom_relabel *r, sx_str name)
{
    if (r->legacy_names)
        return tsdb_label_name_is_legacy(name);
    return name.len > 0 && sx_utf8_valid(name);
}

static bool is_label_template(const prom_relabel *r, sx_str name)
{
    return r->legacy_names ? is_legacy_template(name) : is_label_name(r, name);
}

/* Which fields an action needs and which it does not stand. */
enum {
    NEEDS_TARGET = 1,
    TARGET_IS_TEMPLATE = 2,     /* may hold $1 */
    NO_REPLACEMENT = 4,         /* must be the default */
    ONLY_SOURCE_AND_TARGET = 8, /* all others must be the default */
    ONLY_REGEX = 16,
    TEMPLATE_IS_NAME = 32, /* what the replacement makes is a label's name */
};

static const uint8_t RULES_OF[PROM_RELABEL_ACTIONS] = {
    [PROM_RELABEL_REPLACE] = NEEDS_TARGET | TARGET_IS_TEMPLATE,
    [PROM_RELABEL_KEEPEQUAL] = NEEDS_TARGET | NO_REPLACEMENT | ONLY_SOURCE_AND_TARGET,
    [PROM_RELABEL_DROPEQUAL] = NEEDS_TARGET | NO_REPLACEMENT | ONLY_SOURCE_AND_TARGET,
    [PROM_RELABEL_HASHMOD] = NEEDS_TARGET,
    [PROM_RELABEL_LABELMAP] = TEMPLATE_IS_NAME,
    [PROM_RELABEL_LABELDROP] = ONLY_REGEX,
    [PROM_RELABEL_LABELKEEP] = ONLY_REGEX,
    [PROM_RELABEL_LOWERCASE] = NEEDS_TARGET | NO_REPLACEMENT,
    [PROM_RELABEL_UPPERCASE] = NEEDS_TARGET | NO_REPLACEMENT,
};

static bool others_are_default(const prom_relabel *r)
{
    return r->modulus == 0 && sx_str_eq(r->separator, DEFAULT_SEPARATOR) &&
           sx_str_eq(r->replacement, DEFAULT_REPLACEMENT);
}

/* The checks and their words are Prometheus's: operators search for them. */
static sx_status check(const prom_relabel *r, sx_error *err)
{
    sx_str action = ACTIONS[r->action];
    unsigned rules = RULES_OF[r->action];
    if (r->action == PROM_RELABEL_HASHMOD && r->modulus == 0)
        return sx_fail(err, SX_EINVAL,
                       "relabel configuration for hashmod requires non-zero modulus");
    if (rules & NEEDS_TARGET) {
        if (r->target.len == 0)
            return sx_fail(err, SX_EINVAL,
                           "relabel configuration for %.*s action requires 'target_label' value",
                           SX_ARG(action));
        bool template = (rules & TARGET_IS_TEMPLATE) && has_variable(r->target);
        if (template ? !is_label_template(r, r->target) : !is_label_name(r, r->target))
            return sx_fail(err, SX_EINVAL, "\"%.*s\" is invalid 'target_label' for %.*s action",
                           SX_ARG(r->target), SX_ARG(action));
    }
    if ((rules & NO_REPLACEMENT) && !sx_str_eq(r->replacement, DEFAULT_REPLACEMENT))
        return sx_fail(err, SX_EINVAL, "'replacement' can not be set for %.*s action",
                       SX_ARG(action));
    if ((rules & TEMPLATE_IS_NAME) && !is_label_template(r, r->replacement))
        return sx_fail(err, SX_EINVAL, "\"%.*s\" is invalid 'replacement' for %.*s action",
                       SX_ARG(r->replacement), SX_ARG(action));
    if ((rules & ONLY_SOURCE_AND_TARGET) &&
        !(others_are_default(r) && sx_str_eq(r->regex_text, DEFAULT_REGEX)))
        return sx_fail(err, SX_EINVAL,
                       "%.*s action requires only 'source_labels' and `target_label`, and no other "
                       "fields",
                       SX_ARG(action));
    if ((rules & ONLY_REGEX) &&
        !(others_are_default(r) && r->source_count == 0 && r->target.len == 0))
        return sx_fail(err, SX_EINVAL, "%.*s action requires only 'regex', and no other fields",
                       SX_ARG(action));
    return SX_OK;
}

sx_status prom_relabel_init(prom_relabel *r, sx_error *err)
{
    r->regex = NULL;
    sx_status st = check(r, err);
    if (st != SX_OK)
        return st;
    bool expands = r->action == PROM_RELABEL_REPLACE || r->action == PROM_RELABEL_LABELMAP;
    r->plain = !has_variable(r->target) && !has_variable(r->replacement);
    return sx_regex_new(&r->regex, r->regex_text,
                        &(sx_regex_options){.flags = expands ? SX_REGEX_CAPTURES : 0}, err);
}

void prom_relabel_done(prom_relabel *r)
{
    sx_regex_free(r->regex);
    r->regex = NULL;
}

/* --- Application. */

/* What one rule works with. */
typedef struct relabelling {
    const prom_relabel *rule;
    tsdb_labels_builder *labels;
    sx_arena *arena;
    sx_str value; /* the source labels' values, joined */
} relabelling;

/* Joins the sources' values: in place for one source, else in `local` or the arena. */
static sx_status join_sources(relabelling *w, char local[JOINED_BYTES], sx_error *err)
{
    const prom_relabel *r = w->rule;
    w->value = (sx_str){0};
    if (r->source_count == 1)
        w->value = tsdb_labels_builder_get(w->labels, r->source[0]);
    if (r->source_count < 2)
        return SX_OK;

    size_t len = r->separator.len * (r->source_count - 1);
    for (uint32_t i = 0; i < r->source_count; i++)
        len += tsdb_labels_builder_get(w->labels, r->source[i]).len;
    char *text = len <= JOINED_BYTES ? local : sx_arena_alloc(w->arena, len);
    if (!text)
        return sx_fail_memory(err, "joined labels");
    w->value = sx_str_of(text, len);
    for (uint32_t i = 0; i < r->source_count; i++) {
        sx_str parts[2] = {i ? r->separator : (sx_str){0},
                           tsdb_labels_builder_get(w->labels, r->source[i])};
        for (int k = 0; k < 2; k++) {
            if (parts[k].len)
                memcpy(text, parts[k].data, parts[k].len);
            text += parts[k].len;
        }
    }
    return SX_OK;
}

static sx_status keep_text(relabelling *w, const sx_buf *text, sx_str *out, sx_error *err)
{
    sx_status st = sx_buf_status(text, "a relabelled value", err);
    if (st != SX_OK)
        return st;
    *out = sx_arena_copy(w->arena, sx_buf_view(text));
    return out->data ? SX_OK : sx_fail_memory(err, "a relabelled value");
}

static sx_status expand(relabelling *w, sx_str template, const sx_str *groups, sx_str *out,
                        sx_error *err)
{
    sx_buf text;
    sx_buf_init(&text, 0);
    sx_regex_expand(w->rule->regex, template, groups, SX_REGEX_GROUPS_MAX, &text);
    sx_status st = keep_text(w, &text, out, err);
    sx_buf_done(&text);
    return st;
}

static sx_status replace(relabelling *w, sx_error *err)
{
    const prom_relabel *r = w->rule;
    if (r->plain) {
        if (!sx_regex_match(r->regex, w->value))
            return SX_OK;
        return tsdb_labels_builder_set(w->labels, r->target, r->replacement, err);
    }
    sx_str groups[SX_REGEX_GROUPS_MAX], target = r->target, value;
    if (!sx_regex_capture(r->regex, w->value, SX_REGEX_WHOLE, groups, SX_REGEX_GROUPS_MAX))
        return SX_OK;
    sx_status st = SX_OK;
    if (has_variable(r->target))
        st = expand(w, r->target, groups, &target, err);
    if (st != SX_OK || !is_label_name(r, target))
        return st;
    st = expand(w, r->replacement, groups, &value, err);
    return st == SX_OK ? tsdb_labels_builder_set(w->labels, target, value, err) : st;
}

/* The last eight bytes of the MD5, big-endian, modulo: shards of other servers agree with ours. */
static sx_status hashmod(relabelling *w, sx_error *err)
{
    unsigned char md5[EVP_MAX_MD_SIZE];
    unsigned int len = 0;
    if (!EVP_Digest(w->value.data, w->value.len, md5, &len, EVP_md5(), NULL) || len != 16)
        return sx_fail(err, SX_EUNSUPPORTED, "OpenSSL refuses MD5, which hashmod needs");
    uint64_t hash = 0;
    for (int i = 8; i < 16; i++)
        hash = hash << 8 | md5[i];
    sx_str text = sx_arena_printf(w->arena, "%llu", (unsigned long long)(hash % w->rule->modulus));
    if (!text.data)
        return sx_fail_memory(err, "a relabelled value");
    return tsdb_labels_builder_set(w->labels, w->rule->target, text, err);
}

/* The labels as they were when the rule began: what it adds is not mapped again. */
static sx_status labelmap(relabelling *w, sx_error *err)
{
    const prom_relabel *r = w->rule;
    size_t count = w->labels->count;
    tsdb_label *before = sx_arena_calloc(w->arena, count, sizeof *before);
    if (!before && count)
        return sx_fail_memory(err, "labels to map");
    if (count)
        memcpy(before, w->labels->items, count * sizeof *before);

    sx_status st = SX_OK;
    sx_buf name;
    sx_buf_init(&name, 0);
    for (size_t i = 0; i < count && st == SX_OK; i++) {
        sx_str mapped;
        if (!sx_regex_match(r->regex, before[i].name))
            continue;
        sx_buf_clear(&name);
        sx_str groups[SX_REGEX_GROUPS_MAX];
        sx_regex_capture(r->regex, before[i].name, SX_REGEX_WHOLE, groups, SX_REGEX_GROUPS_MAX);
        sx_regex_expand(r->regex, r->replacement, groups, SX_REGEX_GROUPS_MAX, &name);
        st = keep_text(w, &name, &mapped, err);
        if (st == SX_OK)
            st = tsdb_labels_builder_set(w->labels, mapped, before[i].value, err);
    }
    sx_buf_done(&name);
    return st;
}

static void drop_labels(relabelling *w, bool matching)
{
    tsdb_labels_builder *b = w->labels;
    for (size_t i = 0; i < b->count;) {
        if (sx_regex_match(w->rule->regex, b->items[i].name) == matching)
            b->items[i] = b->items[--b->count]; /* the order is restored by _take */
        else
            i++;
    }
}

uint32_t prom_change_case(uint32_t code, bool upper)
{
    static const struct {
        uint32_t first, last; /* of the small letters */
        uint32_t gap;         /* down to the capital; 1: pairs, the capital even */
    } RANGES[] = {{'a', 'z', 32},     {0xe0, 0xf6, 32},   {0xf8, 0xfe, 32},   {0x100, 0x137, 1},
                  {0x3b1, 0x3c1, 32}, {0x3c3, 0x3c9, 32}, {0x430, 0x44f, 32}, {0x450, 0x45f, 80},
                  {0x14a, 0x177, 1},  {0x460, 0x481, 1}};
    for (size_t i = 0; i < SX_COUNT_OF(RANGES); i++) {
        uint32_t gap = RANGES[i].gap;
        if (gap == 1) {
            if (code >= RANGES[i].first && code <= RANGES[i].last && code != 0x130 && code != 0x131)
                return upper ? code & ~1u : code | 1u;
        } else if (upper && code >= RANGES[i].first && code <= RANGES[i].last) {
            return code - gap;
        } else if (!upper && code + gap >= RANGES[i].first && code + gap <= RANGES[i].last) {
            return code + gap;
        }
    }
    return code;
}

static sx_status set_cased(relabelling *w, bool upper, sx_error *err)
{
    sx_str rest = w->value, value;
    sx_buf text;
    sx_buf_init(&text, 0);
    while (rest.len) {
        uint32_t code;
        char bytes[4];
        size_t len = sx_utf8_decode(rest, &code);
        if (len)
            sx_buf_bytes(&text, bytes, sx_utf8_encode(prom_change_case(code, upper), bytes));
        else
            sx_buf_byte(&text, rest.data[0]);
        rest = sx_str_from(rest, len ? len : 1);
    }
    sx_status st = keep_text(w, &text, &value, err);
    sx_buf_done(&text);
    return st == SX_OK ? tsdb_labels_builder_set(w->labels, w->rule->target, value, err) : st;
}

/* A value that lies on the stack must not stay in the set. */
static sx_status apply_one(relabelling *w, bool *keep, sx_error *err)
{
    const prom_relabel *r = w->rule;
    switch (r->action) {
    case PROM_RELABEL_REPLACE:
        return replace(w, err);
    case PROM_RELABEL_KEEP:
        *keep = sx_regex_match(r->regex, w->value);
        return SX_OK;
    case PROM_RELABEL_DROP:
        *keep = !sx_regex_match(r->regex, w->value);
        return SX_OK;
    case PROM_RELABEL_KEEPEQUAL:
        *keep = sx_str_eq(tsdb_labels_builder_get(w->labels, r->target), w->value);
        return SX_OK;
    case PROM_RELABEL_DROPEQUAL:
        *keep = !sx_str_eq(tsdb_labels_builder_get(w->labels, r->target), w->value);
        return SX_OK;
    case PROM_RELABEL_HASHMOD:
        return hashmod(w, err);
    case PROM_RELABEL_LABELMAP:
        return labelmap(w, err);
    case PROM_RELABEL_LABELDROP:
        drop_labels(w, true);
        return SX_OK;
    case PROM_RELABEL_LABELKEEP:
        drop_labels(w, false);
        return SX_OK;
    case PROM_RELABEL_LOWERCASE:
    case PROM_RELABEL_UPPERCASE:
        return set_cased(w, r->action == PROM_RELABEL_UPPERCASE, err);
    case PROM_RELABEL_ACTIONS:
        break;
    }
    return SX_OK;
}

sx_status prom_relabel_apply(const prom_relabel *rules, size_t count, tsdb_labels_builder *b,
                             sx_arena *arena, bool *keep, sx_error *err)
{
    *keep = true;
    for (size_t i = 0; i < count && *keep; i++) {
        char joined[JOINED_BYTES];
        relabelling w = {.rule = &rules[i], .labels = b, .arena = arena};
        sx_status st = join_sources(&w, joined, err);
        if (st == SX_OK)
            st = apply_one(&w, keep, err);
        if (st != SX_OK)
            return st;
    }
    return SX_OK;
}
