/* multipart.c - multipart/form-data as a state machine over bytes.
 *
 *     PREAMBLE --delimiter--> AFTER --CRLF--> HEADER --blank line--> DATA --delimiter--> AFTER
 *                               └--"--"--> EPILOGUE, which is passed over
 *
 * A delimiter is CR LF "--" boundary, and its CR stands nowhere else in it: when a match breaks off,
 * what had matched is data, and only the byte at hand can begin another. The body's first delimiter
 * may lack the CR LF, so reading begins as if they had just been met. */
#include <sextant/multipart.h>

#include <sextant/mem.h>

enum { PREAMBLE, AFTER, HEADER, DATA, EPILOGUE };
enum { HEADER_BYTES_DEFAULT = 8192, PARTS_DEFAULT = 256 };

/* ---- parameters of header fields: ;name=token or ;name="quoted" ---- */

static sx_str skip_blanks(sx_str s)
{
    while (s.len && (s.data[0] == ' ' || s.data[0] == '\t'))
        s = sx_str_from(s, 1);
    return s;
}

/* Cuts a value off *rest. In a quoted one a backslash before a quote hides it (other backslashes stay,
 * as browsers send paths with them); the view given is then still escaped. */
static sx_str take_value(sx_str *rest)
{
    sx_str value;
    *rest = skip_blanks(*rest);
    if (!rest->len || rest->data[0] != '"') {
        size_t end = sx_str_find_byte(*rest, ';');
        value = sx_str_trim(sx_str_first(*rest, end));
        *rest = sx_str_from(*rest, end);
        return value;
    }
    size_t end = 1;
    while (end < rest->len && rest->data[end] != '"')
        end += rest->data[end] == '\\' && end + 1 < rest->len && rest->data[end + 1] == '"' ? 2 : 1;
    value = sx_str_of(rest->data + 1, end - 1);
    *rest = sx_str_from(*rest, end + 1);
    *rest = sx_str_from(*rest, sx_str_find_byte(*rest, ';'));
    return value;
}

/* Takes the next parameter off *rest, which begins at a ';' or is empty. */
static bool next_parameter(sx_str *rest, sx_str *name, sx_str *value)
{
    while (rest->len && (rest->data[0] == ';' || rest->data[0] == ' ' || rest->data[0] == '\t'))
        *rest = sx_str_from(*rest, 1);
    if (!rest->len)
        return false;
    size_t equals = sx_str_find_byte(*rest, '='), end = sx_str_find_byte(*rest, ';');
    if (equals > end || equals == rest->len) { /* a name alone */
        *name = sx_str_trim(sx_str_first(*rest, end));
        *value = sx_str_of("", 0);
        *rest = sx_str_from(*rest, end);
        return true;
    }
    *name = sx_str_trim(sx_str_first(*rest, equals));
    *rest = sx_str_from(*rest, equals + 1);
    *value = take_value(rest);
    return true;
}

sx_status sx_multipart_boundary(sx_str content_type, sx_str *boundary, sx_error *err)
{
    sx_str rest = sx_str_from(content_type, sx_str_find_byte(content_type, ';')), name, value;
    sx_str type = sx_str_trim(sx_str_first(content_type, content_type.len - rest.len));
    if (!sx_str_ieq(type, SX_STR("multipart/form-data")))
        return sx_fail(err, SX_EUNSUPPORTED, "'%.*s' is not multipart/form-data", SX_ARG(type));
    while (next_parameter(&rest, &name, &value)) {
        if (!sx_str_ieq(name, SX_STR("boundary")) || !value.len)
            continue;
        if (value.len > SX_MULTIPART_BOUNDARY_MAX)
            return sx_fail(err, SX_EINVAL, "a boundary of %zu bytes; at most %d", value.len,
                           SX_MULTIPART_BOUNDARY_MAX);
        *boundary = value;
        return SX_OK;
    }
    return sx_fail(err, SX_EINVAL, "no boundary in '%.*s'", SX_ARG(content_type));
}

/* ---- a part's header ---- */

/* Takes the backslashes before quotes out, in place: the header is ours. */
static sx_str unescape(sx_str s)
{
    char *out = (char *)(uintptr_t)s.data; /* inside m->header */
    size_t len = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '\\' && i + 1 < s.len && s.data[i + 1] == '"')
            i++;
        out[len++] = s.data[i];
    }
    return sx_str_of(out, len);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* filename*=UTF-8''na%C3%AFve.csv (RFC 8187), decoded in place. RFC 7578 forbids it, clients send it. */
static sx_str decode_extended(sx_str s)
{
    sx_str charset, rest;
    if (!sx_str_cut(s, '\'', &charset, &rest) || !sx_str_cut(rest, '\'', &charset, &rest))
        return s;
    char *out = (char *)(uintptr_t)rest.data;
    size_t len = 0;
    for (size_t i = 0; i < rest.len; i++) {
        int high = i + 2 < rest.len ? hex(rest.data[i + 1]) : -1;
        int low = i + 2 < rest.len ? hex(rest.data[i + 2]) : -1;
        if (rest.data[i] == '%' && high >= 0 && low >= 0) {
            out[len++] = (char)(high << 4 | low);
            i += 2;
        } else {
            out[len++] = rest.data[i];
        }
    }
    return sx_str_of(out, len);
}

static void read_disposition(sx_str value, sx_multipart_part *part)
{
    sx_str name, text;
    bool extended = false;
    sx_str rest = sx_str_from(value, sx_str_find_byte(value, ';'));
    while (next_parameter(&rest, &name, &text)) {
        if (sx_str_ieq(name, SX_STR("name"))) {
            part->name = unescape(text);
        } else if (sx_str_ieq(name, SX_STR("filename")) && !extended) {
            part->filename = unescape(text);
            part->is_file = true;
        } else if (sx_str_ieq(name, SX_STR("filename*"))) {
            part->filename = decode_extended(text);
            part->is_file = extended = true;
        }
    }
}

static sx_multipart_part read_header(sx_str header)
{
    sx_multipart_part part = {.name = {"", 0}, .filename = {"", 0}, .content_type = {"", 0}};
    while (header.len) {
        sx_str line, name, value;
        sx_str_cut(header, '\n', &line, &header);
        if (!sx_str_cut(line, ':', &name, &value))
            continue;
        value = sx_str_trim_all(value);
        if (sx_str_ieq(sx_str_trim(name), SX_STR("content-disposition")))
            read_disposition(value, &part);
        else if (sx_str_ieq(sx_str_trim(name), SX_STR("content-type")))
            part.content_type = value;
    }
    return part;
}

/* ---- the machine ---- */

sx_status sx_multipart_init(sx_multipart *m, sx_str boundary, const sx_multipart_limits *limits,
                            const sx_multipart_events *events, void *ctx, sx_error *err)
{
    if (!boundary.len || boundary.len > SX_MULTIPART_BOUNDARY_MAX ||
        sx_str_find_byte(boundary, '\r') < boundary.len ||
        sx_str_find_byte(boundary, '\n') < boundary.len)
        return sx_fail(err, SX_EINVAL, "a boundary has 1 to %d bytes and no line end",
                       SX_MULTIPART_BOUNDARY_MAX);
    memset(m, 0, sizeof(*m));
    if (limits)
        m->limits = *limits;
    if (!m->limits.header_bytes_max)
        m->limits.header_bytes_max = HEADER_BYTES_DEFAULT;
    if (!m->limits.parts_max)
        m->limits.parts_max = PARTS_DEFAULT;
    m->events = events;
    m->ctx = ctx;
    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary.data, boundary.len);
    m->delimiter_len = (uint32_t)boundary.len + 4;
    m->matched = m->assumed = 2; /* the body's first line begins here */
    sx_buf_init(&m->header, (size_t)m->limits.header_bytes_max + 1);
    return SX_OK;
}

void sx_multipart_done(sx_multipart *m)
{
    sx_buf_done(&m->header);
}

static sx_status give(sx_multipart *m, const char *data, size_t len, sx_error *err)
{
    if (m->state != DATA || len == 0)
        return SX_OK;
    return m->events->data(m->ctx, sx_str_of(data, len), err);
}

static sx_status at_delimiter(sx_multipart *m, sx_error *err)
{
    bool in_part = m->state == DATA;
    m->state = AFTER;
    m->matched = m->assumed = m->tail = 0;
    m->last = false;
    return in_part ? m->events->end(m->ctx, err) : SX_OK;
}

/* Reads data (or the preamble) up to a delimiter or the end of *in. */
static sx_status read_data(sx_multipart *m, sx_str *in, sx_error *err)
{
    sx_status status = SX_OK;
    while (in->len && status == SX_OK) {
        if (m->matched == 0) { /* HOT: memchr runs through the data */
            size_t plain = sx_str_find_byte(*in, '\r');
            status = give(m, in->data, plain, err);
            *in = sx_str_from(*in, plain);
            if (!in->len || status != SX_OK)
                break;
        }
        if (in->data[0] == m->delimiter[m->matched]) {
            *in = sx_str_from(*in, 1);
            if (++m->matched == m->delimiter_len)
                return at_delimiter(m, err);
        } else {
            size_t had = m->matched, not_data = m->assumed;
            m->matched = m->assumed = 0;
            status = give(m, m->delimiter + not_data, had - not_data, err);
        }
    }
    return status;
}

/* What follows a delimiter: "--", or blanks and a line end. */
static sx_status read_after(sx_multipart *m, sx_str *in, sx_error *err)
{
    while (in->len) {
        char c = in->data[0];
        *in = sx_str_from(*in, 1);
        if (c == '-' && (m->tail == 0 || (m->tail == 1 && m->last))) {
            m->last = true;
            if (++m->tail == 2) {
                m->state = EPILOGUE;
                return SX_OK;
            }
        } else if (!m->last && (c == ' ' || c == '\t' || c == '\r')) {
            m->tail = 3;
        } else if (!m->last && c == '\n') {
            if (++m->parts > m->limits.parts_max)
                return sx_fail(err, SX_ELIMIT, "more than %u parts", m->limits.parts_max);
            m->state = HEADER;
            sx_buf_clear(&m->header);
            return SX_OK;
        } else {
            return sx_fail(err, SX_EFORMAT, "byte %llu: a boundary is not followed by a line end",
                           (unsigned long long)(m->offset - in->len - 1));
        }
    }
    return SX_OK;
}

static bool header_is_whole(sx_str h)
{
    return sx_str_ends(h, SX_STR("\n\r\n")) || sx_str_ends(h, SX_STR("\n\n")) ||
           sx_str_eq(h, SX_STR("\r\n")) || sx_str_eq(h, SX_STR("\n"));
}

static sx_status read_part_header(sx_multipart *m, sx_str *in, sx_error *err)
{
    while (in->len) {
        size_t line = sx_str_find_byte(*in, '\n');
        size_t take = line < in->len ? line + 1 : line;
        sx_buf_bytes(&m->header, in->data, take);
        if (m->header.failed || m->header.len > m->limits.header_bytes_max)
            return m->header.failed && !m->header.hit_limit
                       ? sx_fail_memory(err, "the header of a part")
                       : sx_fail(err, SX_ELIMIT, "a part's header of more than %u bytes",
                                 m->limits.header_bytes_max);
        *in = sx_str_from(*in, take);
        if (!header_is_whole(sx_buf_view(&m->header)))
            continue;
        sx_multipart_part part = read_header(sx_buf_view(&m->header));
        m->state = DATA;
        m->matched = m->assumed = 2; /* an empty part's delimiter may follow its header at once */
        return m->events->begin(m->ctx, &part, err);
    }
    return SX_OK;
}

sx_status sx_multipart_feed(sx_multipart *m, sx_str piece, sx_error *err)
{
    sx_str in = piece;
    sx_status status = m->failed;
    m->offset += piece.len;
    if (status != SX_OK)
        return sx_fail(err, status, "the form was refused before");
    while (in.len && status == SX_OK) {
        switch (m->state) {
        case PREAMBLE:
        case DATA:
            status = read_data(m, &in, err);
            break;
        case AFTER:
            status = read_after(m, &in, err);
            break;
        case HEADER:
            status = read_part_header(m, &in, err);
            break;
        default:
            in.len = 0;
        }
    }
    m->failed = status;
    return status;
}

sx_status sx_multipart_finish(sx_multipart *m, sx_error *err)
{
    if (m->failed != SX_OK)
        return sx_fail(err, m->failed, "the form was refused before");
    if (m->state != EPILOGUE)
        m->failed = sx_fail(err, SX_EFORMAT, "byte %llu: the form ends without its last boundary",
                            (unsigned long long)m->offset);
    return m->failed;
}
