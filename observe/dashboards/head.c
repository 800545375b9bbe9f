/* head.c - what a dashboard's JSON says of itself. See head.h. */
#include "observe/dashboards/head.h"

#include <sextant/hash.h>
#include <sextant/json.h>
#include <sextant/random.h>

static sx_json_options options(sx_arena *arena)
{
    return (sx_json_options){.arena = arena, .depth_max = DASH_DEPTH_MAX};
}

/* A text, or nothing if the value is of another type. */
static void read_text(sx_json *r, sx_str *out)
{
    *out = SX_STR("");
    if (sx_json_peek(r) == SX_JSON_STRING)
        (void)sx_json_read_str(r, out);
    else
        (void)sx_json_skip(r);
}

/* A whole number from 0 on; 1.0 and 1e3 are taken for none. */
static void read_number(sx_json *r, int64_t *out)
{
    sx_str text;
    *out = 0;
    if (sx_json_peek(r) != SX_JSON_NUMBER) {
        (void)sx_json_skip(r);
        return;
    }
    if (sx_json_read_number(r, &text) && (!sx_str_to_i64(text, out) || *out < 0))
        *out = 0;
}

static bool read_tags(sx_json *r, sx_arena *arena, dash_head *h)
{
    sx_str *tags = NULL;
    size_t cap = 0;
    h->tag_count = 0;
    if (sx_json_peek(r) != SX_JSON_ARRAY)
        return sx_json_skip(r);
    for (sx_json_enter_array(r); sx_json_next_item(r);) {
        sx_str tag;
        if (sx_json_peek(r) != SX_JSON_STRING) {
            (void)sx_json_skip(r);
            continue;
        }
        if (!sx_json_read_str(r, &tag) || !tag.len)
            continue;
        if (h->tag_count == DASH_TAGS_MAX)
            return sx_json_fail(r, SX_ELIMIT, "more than %d tags", DASH_TAGS_MAX);
        if (!sx_arena_grow(arena, &tags, &cap, h->tag_count + 1, sizeof *tags))
            return sx_json_fail(r, SX_ENOMEM, "no memory for tags");
        tags[h->tag_count++] = tag;
    }
    h->tags = tags;
    return true;
}

static bool read_spec(sx_json *r, sx_arena *arena, dash_head *h)
{
    sx_str key;
    if (sx_json_peek(r) != SX_JSON_OBJECT)
        return sx_json_skip(r);
    for (sx_json_enter_object(r); sx_json_next_key(r, &key);) {
        if (sx_str_eq(key, SX_STR("title")))
            read_text(r, &h->title);
        else if (sx_str_eq(key, SX_STR("description")))
            read_text(r, &h->description);
        else if (sx_str_eq(key, SX_STR("tags")))
            (void)read_tags(r, arena, h);
    }
    return true;
}

static void read_annotations(sx_json *r, dash_head *h)
{
    sx_str key;
    if (sx_json_peek(r) != SX_JSON_OBJECT) {
        (void)sx_json_skip(r);
        return;
    }
    for (sx_json_enter_object(r); sx_json_next_key(r, &key);)
        if (sx_str_eq(key, SX_STR("grafana.app/folder")))
            read_text(r, &h->folder_uid);
}

static bool read_metadata(sx_json *r, dash_head *h)
{
    sx_str key;
    if (sx_json_peek(r) != SX_JSON_OBJECT)
        return sx_json_skip(r);
    for (sx_json_enter_object(r); sx_json_next_key(r, &key);) {
        if (sx_str_eq(key, SX_STR("name")))
            read_text(r, &h->uid);
        else if (sx_str_eq(key, SX_STR("annotations")))
            read_annotations(r, h);
    }
    return true;
}

/* Which of the forms it is, by the members at its top. */
typedef struct outline {
    sx_str dashboard, api_version;
    bool has_title, has_panels, has_spec;
} outline;

static sx_status read_outline(sx_str text, sx_arena *arena, outline *o, sx_error *err)
{
    sx_json r;
    sx_json_options how = options(arena);
    sx_str key;
    sx_json_init(&r, text, &how);
    for (sx_json_enter_object(&r); sx_json_next_key(&r, &key);) {
        if (sx_str_eq(key, SX_STR("dashboard")) && sx_json_peek(&r) == SX_JSON_OBJECT)
            (void)sx_json_raw(&r, &o->dashboard);
        else if (sx_str_eq(key, SX_STR("apiVersion")))
            read_text(&r, &o->api_version);
        else if (sx_str_eq(key, SX_STR("spec")))
            o->has_spec = sx_json_peek(&r) == SX_JSON_OBJECT;
        else if (sx_str_eq(key, SX_STR("title")))
            o->has_title = true;
        else if (sx_str_eq(key, SX_STR("panels")) || sx_str_eq(key, SX_STR("rows")))
            o->has_panels = true;
    }
    return sx_json_finish(&r, err);
}

static sx_status read_members(sx_str text, sx_arena *arena, dash_head *h, sx_error *err)
{
    sx_json r;
    sx_json_options how = options(arena);
    sx_str key;
    sx_json_init(&r, text, &how);
    for (sx_json_enter_object(&r); sx_json_next_key(&r, &key);) {
        if (h->is_resource && sx_str_eq(key, SX_STR("metadata")))
            (void)read_metadata(&r, h);
        else if (h->is_resource && sx_str_eq(key, SX_STR("spec")))
            (void)read_spec(&r, arena, h);
        else if (h->is_resource)
            (void)sx_json_skip(&r);
        else if (sx_str_eq(key, SX_STR("uid")))
            read_text(&r, &h->uid);
        else if (sx_str_eq(key, SX_STR("title")))
            read_text(&r, &h->title);
        else if (sx_str_eq(key, SX_STR("description")))
            read_text(&r, &h->description);
        else if (sx_str_eq(key, SX_STR("id")))
            read_number(&r, &h->id);
        else if (sx_str_eq(key, SX_STR("version")))
            read_number(&r, &h->version);
        else if (sx_str_eq(key, SX_STR("tags")))
            (void)read_tags(&r, arena, h);
    }
    return sx_json_finish(&r, err);
}

sx_status dash_head_read(sx_str text, sx_arena *arena, dash_head *out, sx_error *err)
{
    outline o = {0};
    dash_head h = {.json = sx_str_trim_all(text)};
    sx_status status = read_outline(text, arena, &o, err);
    for (int wraps = 0; status == SX_OK && o.dashboard.len && !o.has_title && !o.has_panels;) {
        if (wraps++ == DASH_WRAPS_MAX)
            return sx_fail(err, SX_ELIMIT, "\"dashboard\" within \"dashboard\", more than %d times",
                           DASH_WRAPS_MAX);
        h.json = o.dashboard;
        o = (outline){0};
        status = read_outline(h.json, arena, &o, err);
    }
    h.is_resource = o.has_spec && o.api_version.len && !o.has_panels;
    if (status == SX_OK)
        status = read_members(h.json, arena, &h, err);
    if (status == SX_OK)
        *out = h;
    return status;
}

/* ---- giving it out ---- */

static void put_member(sx_buf *out, const char *name, bool *comma)
{
    if (*comma)
        sx_buf_byte(out, ',');
    *comma = true;
    sx_json_quote(out, sx_str_z(name), SX_JSON_UTF8);
    sx_buf_byte(out, ':');
}

static void put_stamped(int which, const dash_stamp *stamp, bool *comma, sx_buf *out)
{
    static const char *const NAMES[] = {"id", "uid", "version"};
    put_member(out, NAMES[which], comma);
    if (which == 1)
        sx_json_quote(out, stamp->uid, SX_JSON_UTF8);
    else
        sx_buf_i64(out, which ? stamp->version : stamp->id);
}

static int stamped(sx_str key)
{
    if (sx_str_eq(key, SX_STR("id")))
        return 0;
    if (sx_str_eq(key, SX_STR("uid")))
        return 1;
    return sx_str_eq(key, SX_STR("version")) ? 2 : -1;
}

static sx_status stamp_classic(sx_str json, const dash_stamp *stamp, sx_arena *arena, sx_buf *out,
                               sx_error *err)
{
    sx_json r;
    sx_json_options how = options(arena);
    sx_str key, value;
    bool comma = false, done[3] = {false};
    sx_json_init(&r, json, &how);
    sx_buf_byte(out, '{');
    for (sx_json_enter_object(&r); sx_json_next_key(&r, &key);) {
        int which = stamped(key);
        if (!sx_json_raw(&r, &value) || (which >= 0 && done[which]))
            continue;
        if (which >= 0) {
            put_stamped(which, stamp, &comma, out);
            done[which] = true;
            continue;
        }
        if (comma)
            sx_buf_byte(out, ',');
        comma = true;
        sx_json_quote(out, key, SX_JSON_UTF8);
        sx_buf_byte(out, ':');
        sx_buf_str(out, value);
    }
    for (int i = 0; i < 3; i++)
        if (!done[i])
            put_stamped(i, stamp, &comma, out);
    sx_buf_byte(out, '}');
    sx_status status = sx_json_finish(&r, err);
    return status == SX_OK ? sx_buf_status(out, "a dashboard", err) : status;
}

sx_status dash_stamp_write(sx_str json, const dash_stamp *stamp, sx_buf *out, sx_error *err)
{
    sx_arena arena;
    dash_head head;
    sx_arena_init(&arena, 0, 0);
    sx_status status = dash_head_read(json, &arena, &head, err);
    if (status == SX_OK && head.is_resource) {
        sx_buf_str(out, head.json);
        status = sx_buf_status(out, "a dashboard", err);
    } else if (status == SX_OK) {
        status = stamp_classic(head.json, stamp, &arena, out, err);
    }
    sx_arena_done(&arena);
    return status;
}

/* ---- names ---- */

/* U+00C0 to U+00FF without their accents. */
static const char LATIN[64][3] = {
    "a", "a", "a", "a", "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i",  "i",
    "d", "n", "o", "o", "o", "o", "o",  "",  "o", "u", "u", "u", "u", "y", "th", "ss",
    "a", "a", "a", "a", "a", "a", "ae", "c", "e", "e", "e", "e", "i", "i", "i",  "i",
    "d", "n", "o", "o", "o", "o", "o",  "",  "o", "u", "u", "u", "u", "y", "th", "y"};

static bool is_word(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

sx_str dash_slug(sx_str title, sx_str uid, sx_arena *arena)
{
    char out[DASH_SLUG_BYTES_MAX + 4];
    size_t n = 0;
    bool gap = false;
    for (size_t i = 0; i < title.len && n < DASH_SLUG_BYTES_MAX; i++) {
        unsigned char c = (unsigned char)title.data[i];
        char own[2] = {(char)(c >= 'A' && c <= 'Z' ? c + 32 : c), 0};
        const char *word = is_word((unsigned char)own[0]) ? own : "";
        if (c == 0xC3 && i + 1 < title.len) /* U+00C0 to U+00FF are C3 80 to C3 BF */
            word = LATIN[(unsigned char)title.data[++i] & 63];
        if (!*word) {
            gap = n > 0;
            continue;
        }
        if (gap)
            out[n++] = '-';
        gap = false;
        for (; *word; word++)
            out[n++] = *word;
    }
    return n ? sx_arena_copy(arena, sx_str_of(out, n)) : sx_arena_copy(arena, uid);
}

bool dash_uid_is_valid(sx_str uid)
{
    for (size_t i = 0; i < uid.len; i++) {
        unsigned char c = (unsigned char)uid.data[i];
        if (!is_word(c) && !(c >= 'A' && c <= 'Z') && c != '-')
            return false;
    }
    return true;
}

/* A letter, then letters and digits, out of the bits of `from`. */
static void spell(const unsigned char from[DASH_UID_MADE], char out[DASH_UID_MADE + 1])
{
    static const char WORD[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    for (size_t i = 0; i < DASH_UID_MADE; i++)
        out[i] = WORD[from[i] % (i ? sizeof WORD - 1 : 26)];
    out[DASH_UID_MADE] = '\0';
}

sx_status dash_uid_make(char out[DASH_UID_MADE + 1], sx_error *err)
{
    unsigned char bytes[DASH_UID_MADE];
    sx_status status = sx_random_bytes(bytes, sizeof bytes, err);
    if (status == SX_OK)
        spell(bytes, out);
    return status;
}

void dash_uid_of(sx_str name, char out[DASH_UID_MADE + 1])
{
    unsigned char bytes[DASH_UID_MADE];
    uint64_t a = sx_hash(name, 1), b = sx_hash(name, 2);
    for (size_t i = 0; i < DASH_UID_MADE; i++)
        bytes[i] = (unsigned char)((i < 8 ? a : b) >> (8 * (i % 8)));
    spell(bytes, out);
}

size_t dash_chars(sx_str text)
{
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++)
        n += ((unsigned char)text.data[i] & 0xC0) != 0x80;
    return n;
}
