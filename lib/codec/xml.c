/* xml.c - see xml.h. A token that is not whole in the current piece is copied to the window and read
 * from its beginning again when more has come: pieces are large and tags are small. */
#include "codec/xml.h"

#include <inttypes.h>

#include <sextant/mem.h>
#include <sextant/utf8.h>

enum {
    TOKEN_BYTES_MAX = 1 << 20,
    DEPTH_MAX = 64,
    ATTRIBUTES_MAX = 128,
    MARK_BYTES = 9 /* "<![CDATA[": the longest that tells what a token is */
};

void codec_xml_init(codec_xml *x, const codec_xml_options *options)
{
    *x = (codec_xml){.options = *options};
    if (!x->options.token_bytes_max)
        x->options.token_bytes_max = TOKEN_BYTES_MAX;
    if (!x->options.depth_max)
        x->options.depth_max = DEPTH_MAX;
    if (!x->options.attributes_max)
        x->options.attributes_max = ATTRIBUTES_MAX;
    sx_buf_init(&x->window, 0);
    sx_buf_init(&x->values, 0);
    sx_buf_init(&x->names, 0);
}

void codec_xml_done(codec_xml *x)
{
    sx_buf_done(&x->window);
    sx_buf_done(&x->values);
    sx_buf_done(&x->names);
    sx_free(x->opens);
    sx_free(x->list);
}

static sx_status bad(const codec_xml *x, size_t ahead, const char *what, sx_error *err)
{
    return sx_fail(err, SX_EFORMAT, "byte %" PRIu64 ": %s", x->at + ahead, what);
}

static void take(codec_xml *x, size_t n)
{
    x->in = sx_str_from(x->in, n);
    x->at += n;
}

/* Puts more input behind what there is. SX_END if there is none. */
static sx_status more(codec_xml *x, sx_error *err)
{
    if (x->ended)
        return SX_END;
    if (x->in.len > x->options.token_bytes_max)
        return sx_fail(err, SX_ELIMIT,
                       "byte %" PRIu64 ": a tag, comment or instruction of more than %u bytes",
                       x->at, x->options.token_bytes_max);
    const char *from = x->window.data;
    if (from && x->in.data >= from && x->in.data <= from + x->window.len) {
        sx_buf_consume(&x->window, (size_t)(x->in.data - from));
    } else {
        sx_buf_clear(&x->window);
        sx_buf_str(&x->window, x->in);
    }
    sx_str chunk;
    sx_status status = x->options.more(x->options.ctx, &chunk, err);
    x->ended = status == SX_END;
    if (status == SX_OK && x->window.len == 0) { /* nothing is left over: no copy */
        x->in = chunk;
        return SX_OK;
    }
    if (status == SX_OK) {
        sx_buf_str(&x->window, chunk);
        status = sx_buf_status(&x->window, "a piece of XML", err);
    }
    x->in = sx_buf_view(&x->window);
    return status;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static bool ends_name(char c)
{
    return is_space(c) || c == '=' || c == '/' || c == '>' || c == '"' || c == '\'' || c == '<' ||
           c == '&';
}

/* ---- Values ---- */

/* The character of "&...;" without its ends; false: none that may stand. */
static bool entity_code(sx_str name, uint32_t *code)
{
    static const struct {
        sx_str name;
        char code;
    } OWN[] = {{SX_STR_INIT("amp"), '&'},
               {SX_STR_INIT("lt"), '<'},
               {SX_STR_INIT("gt"), '>'},
               {SX_STR_INIT("quot"), '"'},
               {SX_STR_INIT("apos"), '\''}};
    for (size_t i = 0; i < SX_COUNT_OF(OWN); i++)
        if (sx_str_eq(name, OWN[i].name)) {
            *code = (uint32_t)OWN[i].code;
            return true;
        }
    if (name.len < 2 || name.data[0] != '#')
        return false;
    bool hex = name.data[1] == 'x';
    uint64_t value = 0;
    for (size_t i = hex ? 2 : 1; i < name.len; i++) {
        char c = name.data[i];
        unsigned digit = c >= '0' && c <= '9'          ? (unsigned)(c - '0')
                         : hex && c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                         : hex && c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                       : 99;
        value = value * (hex ? 16 : 10) + digit;
        if (digit == 99 || value > 0x10FFFF)
            return false;
    }
    *code = (uint32_t)value;
    return name.len > (hex ? 2 : 1) && value != 0;
}

/* Appends the value with entities decoded and white space made spaces (section 3.3.3). It gets no
 * longer by that, so a tag of the size allowed fits into x->values, which must not move. */
static sx_status decode(codec_xml *x, sx_str raw, sx_str *out, sx_error *err)
{
    size_t from = x->values.len, at = (size_t)(raw.data - x->in.data);
    if (!x->values.cap && !sx_buf_reserve(&x->values, x->options.token_bytes_max))
        return sx_fail_memory(err, "attributes");
    if (raw.len > x->values.cap - from)
        return sx_fail(err, SX_ELIMIT, "byte %" PRIu64 ": a tag of more than %u bytes", x->at,
                       x->options.token_bytes_max);
    for (size_t i = 0; i < raw.len; i++) {
        char c = raw.data[i];
        if (c != '&') {
            sx_buf_byte(&x->values, is_space(c) ? ' ' : c);
            continue;
        }
        sx_str before, after;
        uint32_t code;
        char utf8[4];
        if (!sx_str_cut(sx_str_from(raw, i + 1), ';', &before, &after))
            return bad(x, at + i, "an \"&\" without its \";\"", err);
        size_t len = entity_code(before, &code) ? sx_utf8_encode(code, utf8) : 0;
        if (!len)
            return sx_fail(err, SX_EFORMAT,
                           "byte %" PRIu64 ": \"&%.*s;\" is none of XML's own entities",
                           x->at + at + i, SX_ARG(sx_str_first(before, 32)));
        sx_buf_bytes(&x->values, utf8, len);
        i += before.len + 1;
    }
    *out = sx_str_of(x->values.data + from, x->values.len - from);
    return SX_OK;
}

/* ---- Tags ---- */

static sx_status push(codec_xml *x, sx_error *err)
{
    if (x->depth >= x->options.depth_max)
        return sx_fail(err, SX_ELIMIT, "byte %" PRIu64 ": more than %u elements in one another",
                       x->at, x->options.depth_max);
    if (x->depth == x->open_cap &&
        !sx_grow(&x->opens, &x->open_cap, x->depth + 1, sizeof(*x->opens)))
        return sx_fail_memory(err, "open elements");
    x->opens[x->depth++] = x->names.len;
    sx_buf_str(&x->names, x->name);
    return sx_buf_status(&x->names, "open elements", err);
}

/* The innermost element ends: x->name is its name until the next call. */
static void pop(codec_xml *x)
{
    size_t from = x->opens[--x->depth];
    x->event = CODEC_XML_END;
    x->name = sx_str_of(x->names.data + from, x->names.len - from);
    x->closing = true;
    x->attribute_count = 0;
}

static bool add_attribute(codec_xml *x, sx_str name, sx_str value)
{
    if (x->attribute_count == x->list_cap &&
        !sx_grow(&x->list, &x->list_cap, x->attribute_count + 1, sizeof(*x->list)))
        return false;
    x->list[x->attribute_count++] = (codec_xml_attribute){name, value};
    return true;
}

/* One attribute at *at. SX_AGAIN: it is not whole. */
static sx_status read_attribute(codec_xml *x, size_t *at, sx_error *err)
{
    const char *s = x->in.data;
    const size_t len = x->in.len;
    size_t i = *at, begin = i;
    while (i < len && !ends_name(s[i]))
        i++;
    sx_str name = sx_str_of(s + begin, i - begin);
    while (i < len && is_space(s[i]))
        i++;
    if (i == len)
        return SX_AGAIN;
    if (!name.len || s[i] != '=')
        return bad(x, i, "an attribute is name=\"value\"", err);
    for (i++; i < len && is_space(s[i]);)
        i++;
    if (i == len)
        return SX_AGAIN;
    const char quote = s[i++];
    if (quote != '"' && quote != '\'')
        return bad(x, i - 1, "a value stands in quotes", err);
    bool coded = false;
    for (begin = i; i < len && s[i] != quote; i++) {
        if (s[i] == '<')
            return bad(x, i, "a \"<\" in a value; is a quote missing before it?", err);
        coded |= s[i] == '&' || (unsigned char)s[i] < ' ';
    }
    if (i == len)
        return SX_AGAIN;
    sx_str value = sx_str_of(s + begin, i - begin), old;
    *at = i + 1;
    if (coded) {
        sx_status status = decode(x, value, &value, err);
        if (status != SX_OK)
            return status;
    }
    if (x->attribute_count >= x->options.attributes_max)
        return sx_fail(err, SX_ELIMIT, "byte %" PRIu64 ": more than %u attributes", x->at,
                       x->options.attributes_max);
    if (codec_xml_attribute_get(x, name, &old))
        return bad(x, (size_t)(name.data - s), "an attribute that is there twice", err);
    return add_attribute(x, name, value) ? SX_OK : sx_fail_memory(err, "attributes");
}

/* A start tag. SX_AGAIN: it is not whole. */
static sx_status read_start(codec_xml *x, sx_error *err)
{
    const char *s = x->in.data;
    size_t i = 1;
    while (i < x->in.len && !ends_name(s[i]))
        i++;
    x->name = sx_str_of(s + 1, i - 1);
    x->attribute_count = 0;
    sx_buf_clear(&x->values);
    for (;;) {
        bool spaced = false;
        for (; i < x->in.len && is_space(s[i]); i++)
            spaced = true;
        if (i == x->in.len)
            return SX_AGAIN;
        if (s[i] == '>')
            break;
        if (s[i] == '/') {
            if (i + 1 == x->in.len)
                return SX_AGAIN;
            if (s[i + 1] != '>')
                return bad(x, i, "a \"/\" inside a tag", err);
            break;
        }
        if (!spaced || !x->name.len)
            return bad(x, i, "not a tag: a name and attributes with spaces before them", err);
        sx_status status = read_attribute(x, &i, err);
        if (status != SX_OK)
            return status;
    }
    if (!x->name.len)
        return bad(x, 0, "a tag without a name", err);
    if (x->depth == 0 && x->had_root)
        return bad(x, 0, "a second root element", err);
    sx_status status = push(x, err);
    if (status != SX_OK)
        return status;
    x->event = CODEC_XML_START;
    x->attributes = x->list;
    x->had_root = true;
    x->empty_tag = s[i] == '/';
    take(x, i + (x->empty_tag ? 2 : 1));
    return SX_OK;
}

static sx_status read_end(codec_xml *x, sx_error *err)
{
    size_t close = sx_str_find_byte(x->in, '>');
    if (close == x->in.len)
        return SX_AGAIN;
    sx_str name = sx_str_trim_all(sx_str_of(x->in.data + 2, close - 2));
    if (x->depth == 0)
        return bad(x, 0, "an end tag without a start tag", err);
    size_t from = x->opens[x->depth - 1];
    sx_str open = sx_str_of(x->names.data + from, x->names.len - from);
    if (!sx_str_eq(name, open))
        return sx_fail(err, SX_EFORMAT, "byte %" PRIu64 ": </%.*s> where </%.*s> is due", x->at,
                       SX_ARG(sx_str_first(name, 64)), SX_ARG(sx_str_first(open, 64)));
    take(x, close + 1);
    pop(x);
    return SX_OK;
}

/* ---- What is passed over ---- */

/* <?xml version="1.0" encoding="..."?> */
static sx_status check_declaration(codec_xml *x, sx_str text, sx_error *err)
{
    size_t at = sx_str_find(text, SX_STR("encoding"));
    if (!sx_str_starts(text, SX_STR("<?xml")) || at == text.len)
        return SX_OK;
    sx_str rest = sx_str_from(text, at + 8), name, value, after;
    if (!sx_str_cut(rest, '=', &name, &value))
        return SX_OK;
    value = sx_str_trim_all(value);
    if (!value.len || !sx_str_cut(sx_str_from(value, 1), value.data[0], &value, &after))
        return SX_OK;
    if (sx_str_ieq(value, SX_STR("UTF-8")) || sx_str_ieq(value, SX_STR("US-ASCII")))
        return SX_OK;
    return sx_fail(err, SX_EUNSUPPORTED, "byte %" PRIu64 ": encoding \"%.*s\"; convert it to UTF-8",
                   x->at, SX_ARG(sx_str_first(value, 40)));
}

/* The token that begins with `mark` is passed over up to `end`. SX_AGAIN: it is not whole. */
static sx_status pass(codec_xml *x, sx_str mark, sx_str end, sx_error *err)
{
    size_t at = sx_str_find(sx_str_from(x->in, mark.len), end);
    if (at == x->in.len - mark.len)
        return SX_AGAIN;
    sx_str token = sx_str_first(x->in, mark.len + at + end.len);
    sx_status status = check_declaration(x, token, err);
    if (status == SX_OK)
        take(x, token.len);
    return status;
}

/* What begins with "<" at x->in; *tag says whether it was a tag. SX_AGAIN: it is not whole. */
static sx_status read_token(codec_xml *x, bool *tag, sx_error *err)
{
    static const struct {
        sx_str mark, end;
    } PASSED[] = {
        {SX_STR_INIT("<?"), SX_STR_INIT("?>")},
        {SX_STR_INIT("<!--"), SX_STR_INIT("-->")},
        {SX_STR_INIT("<![CDATA["), SX_STR_INIT("]]>")},
    };
    *tag = false;
    if (x->in.len < MARK_BYTES && !x->ended && (x->in.len < 2 || x->in.data[1] == '!'))
        return SX_AGAIN;
    for (size_t i = 0; i < SX_COUNT_OF(PASSED); i++)
        if (sx_str_starts(x->in, PASSED[i].mark))
            return pass(x, PASSED[i].mark, PASSED[i].end, err);
    if (sx_str_starts(x->in, SX_STR("<!DOCTYPE")))
        return bad(x, 0, "a DTD, which may declare entities: none is read; remove it", err);
    if (sx_str_starts(x->in, SX_STR("<!")))
        return bad(x, 0, "neither a comment nor CDATA", err);
    *tag = true;
    return sx_str_starts(x->in, SX_STR("</")) ? read_end(x, err) : read_start(x, err);
}

static sx_status end_of_input(codec_xml *x, sx_error *err)
{
    if (x->in.len)
        return bad(x, x->in.len, "the file ends inside a tag, comment or instruction", err);
    if (x->depth) {
        size_t from = x->opens[x->depth - 1];
        return sx_fail(err, SX_EFORMAT, "byte %" PRIu64 ": the file ends inside <%.*s>", x->at,
                       SX_ARG(sx_str_of(x->names.data + from, x->names.len - from)));
    }
    return x->had_root ? SX_END : bad(x, 0, "no element at all", err);
}

/* Passes over text up to the next "<". SX_AGAIN: there is none yet. */
static sx_status pass_text(codec_xml *x, sx_error *err)
{
    size_t len = sx_str_find_byte(x->in, '<');
    if (x->depth == 0) {
        sx_str text = sx_str_first(x->in, len);
        if (x->at == 0 && sx_str_starts(text, SX_STR("\xEF\xBB\xBF")))
            text = sx_str_from(text, 3);
        else if (x->at == 0 && len == x->in.len && len < 3 && !x->ended)
            return SX_AGAIN; /* may be half of a byte order mark */
        size_t at = 0;       /* of what is no space */
        while (at < text.len && is_space(text.data[at]))
            at++;
        if (at < text.len)
            return bad(x, (size_t)(text.data - x->in.data) + at, "text outside of the root element",
                       err);
    }
    take(x, len);
    return x->in.len ? SX_OK : SX_AGAIN;
}

sx_status codec_xml_next(codec_xml *x, sx_error *err)
{
    if (x->closing) {
        x->names.len = x->opens[x->depth];
        x->closing = false;
    }
    if (x->empty_tag) {
        x->empty_tag = false;
        pop(x);
        return SX_OK;
    }
    for (;;) {
        bool tag = false;
        sx_status status = pass_text(x, err);
        if (status == SX_OK)
            status = read_token(x, &tag, err);
        if (status == SX_AGAIN) {
            status = more(x, err);
            if (status == SX_END)
                return end_of_input(x, err);
            tag = false;
        }
        if (status != SX_OK || tag)
            return status;
    }
}

bool codec_xml_attribute_get(const codec_xml *x, sx_str name, sx_str *value)
{
    for (size_t i = 0; i < x->attribute_count; i++)
        if (sx_str_eq(x->list[i].name, name)) {
            *value = x->list[i].value;
            return true;
        }
    return false;
}
