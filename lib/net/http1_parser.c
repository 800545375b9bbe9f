/* http1_parser.c - see http1_parser.h.
 *
 * HOT: 100 to 200 ns for a browser's request of 12 to 15 lines. Two passes were tried on paper (find
 * all line ends, then look at lines) and rejected: field names are short, so one walk with 16-byte
 * loads touches each byte once and stops at exactly the first wrong one, which is what makes the
 * answer independent of how the bytes arrived. SSE2 is part of every x86-64, so there is no
 * dispatch; elsewhere a byte loop over the table does the same. */
#include "net/http1_parser.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* Bits of HTTP1_TOKEN (RFC 9110, 5.6.2), HTTP1_FIELD (5.5: no control but HTAB), HTTP1_HOST (the
 * bytes of RFC 3986's host and port). */
const uint8_t http1_byte_kind[256] = {
    0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    2, 7, 2, 3, 7, 7, 7, 7, 6, 6, 7, 7, 6, 7, 7, 2, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 6, 2, 6, 2, 2,
    2, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 6, 2, 6, 3, 7,
    3, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 2, 3, 2, 7, 0,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
    2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
};

enum { SECTION_START, SECTION_REQUEST_LINE, SECTION_FIELDS };

/* ---- scanning ---- */

/* The first byte at or after `at` that a target cannot hold (SP ends it), or `end`. */
static inline const char *scan_target(const char *at, const char *end)
{
#if defined(__SSE2__)
    const __m128i space = _mm_set1_epi8(0x20), del = _mm_set1_epi8(0x7f);
    const __m128i hash = _mm_set1_epi8('#');
    for (; at < end; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i bad = _mm_cmpeq_epi8(_mm_min_epu8(v, space), v);
        bad = _mm_or_si128(bad, _mm_or_si128(_mm_cmpeq_epi8(v, del), _mm_cmpeq_epi8(v, hash)));
        unsigned mask = (unsigned)_mm_movemask_epi8(bad);
        if (mask) {
            at += __builtin_ctz(mask);
            break;
        }
    }
    return at < end ? at : end;
#else
    while (at < end && (uint8_t)*at > 0x20 && *at != 0x7f && *at != '#')
        at++;
    return at;
#endif
}

/* The first byte that a field value cannot hold (CR ends it), or `end`. */
static inline const char *scan_value(const char *at, const char *end)
{
#if defined(__SSE2__)
    const __m128i ctl = _mm_set1_epi8(0x1f), del = _mm_set1_epi8(0x7f), tab = _mm_set1_epi8('\t');
    for (; at < end; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i bad = _mm_cmpeq_epi8(_mm_min_epu8(v, ctl), v);
        bad = _mm_andnot_si128(_mm_cmpeq_epi8(v, tab), bad);
        bad = _mm_or_si128(bad, _mm_cmpeq_epi8(v, del));
        unsigned mask = (unsigned)_mm_movemask_epi8(bad);
        if (mask) {
            at += __builtin_ctz(mask);
            break;
        }
    }
    return at < end ? at : end;
#else
    while (at < end && (http1_byte_kind[(uint8_t)*at] & HTTP1_FIELD))
        at++;
    return at;
#endif
}

/* The first byte that is no token byte (':' ends a name), or `end`. Names are letters, digits and
 * '-' but for oddities, which the table decides. */
static inline const char *scan_token(const char *at, const char *end)
{
#if defined(__SSE2__)
    const __m128i fold = _mm_set1_epi8(0x20), dash = _mm_set1_epi8('-');
    const __m128i before_a = _mm_set1_epi8('a' - 1), after_z = _mm_set1_epi8('z' + 1);
    const __m128i before_0 = _mm_set1_epi8('0' - 1), after_9 = _mm_set1_epi8('9' + 1);
    for (; at < end; at += 16) {
        /* Signed compares: bytes from 0x80 are negative and so in no range. */
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i low = _mm_or_si128(v, fold);
        __m128i good = _mm_and_si128(_mm_cmpgt_epi8(low, before_a), _mm_cmplt_epi8(low, after_z));
        __m128i digit = _mm_and_si128(_mm_cmpgt_epi8(v, before_0), _mm_cmplt_epi8(v, after_9));
        good = _mm_or_si128(good, _mm_or_si128(digit, _mm_cmpeq_epi8(v, dash)));
        unsigned mask = ~(unsigned)_mm_movemask_epi8(good) & 0xffff;
        if (mask) {
            at += __builtin_ctz(mask);
            break;
        }
    }
#endif
    while (at < end && (http1_byte_kind[(uint8_t)*at] & HTTP1_TOKEN))
        at++;
    return at < end ? at : end;
}

/* ---- answers ---- */

static SX_COLD sx_status refuse(http1_head *head, int status, const char *why)
{
    head->status = status;
    head->why = why;
    head->is_foreign = false;
    return SX_EFORMAT;
}

/* `at` is where a line should end: CR LF, both there. */
static inline sx_status line_end(const char *at, const char *end, http1_head *head)
{
    if (sx_unlikely(at == end))
        return SX_AGAIN;
    if (sx_unlikely(*at != '\r'))
        return refuse(head, 400,
                      *at == '\n' ? "a line ends in a bare LF" : "a control character in the head");
    if (sx_unlikely(at + 1 == end))
        return SX_AGAIN;
    if (sx_unlikely(at[1] != '\n'))
        return refuse(head, 400, "a CR without LF in the head");
    return SX_OK;
}

/* ---- request line ---- */

sx_method http1_method_of(sx_str token)
{
#define X(name)                                                                                    \
    if (sx_str_eq(token, SX_STR(#name)))                                                           \
        return SX_##name;
    SX_METHOD_LIST(X)
#undef X
    return SX_METHOD_OTHER;
}

/* Whether a line without an HTTP version is no request at all, rather than one whose target holds a
 * space: nobody's method, and no path. */
static SX_COLD bool is_foreign(const http1_head *head)
{
    return http1_method_of(head->method_text) == SX_METHOD_OTHER && head->target.data[0] != '/';
}

/* "HTTP/1.1": checked byte by byte, so that a cut one waits and a wrong one is refused at once. */
static sx_status read_version(const char *at, const char *end, http1_head *head)
{
    static const char PREFIX[] = "HTTP/";
    size_t len = (size_t)(end - at);
    if (sx_likely(len >= 10 && memcmp(at, "HTTP/1.1\r\n", 10) == 0)) {
        head->version = 11;
        return SX_OK;
    }
    for (size_t i = 0; i < 5; i++) {
        if (i == len)
            return SX_AGAIN;
        if (at[i] != PREFIX[i]) {
            refuse(head, 400, "the request line does not end in an HTTP version");
            head->is_foreign = is_foreign(head);
            return SX_EFORMAT;
        }
    }
    if (len < 8) { /* digits may still be missing: look at what there is */
        if (len > 5 && (at[5] < '0' || at[5] > '9'))
            return refuse(head, 400, "the HTTP version is not a number");
        if (len > 6 && at[6] != '.')
            return refuse(head, 400, "the HTTP version is not a number");
        return SX_AGAIN;
    }
    if (at[5] < '0' || at[5] > '9' || at[6] != '.' || at[7] < '0' || at[7] > '9')
        return refuse(head, 400, "the HTTP version is not a number");
    if (at[5] != '1')
        return refuse(head, 505, "only HTTP/1.0, HTTP/1.1 and HTTP/2 are served");
    head->version = at[7] == '0' ? 10 : 11; /* a later minor version is served as 1.1 */
    return line_end(at + 8, end, head);
}

/* Fills method, target and version; *next is the start of the first field line. */
static sx_status read_request_line(const char *at, const char *end, const sx_http_limits *limits,
                                   http1_head *head, const char **next)
{
    const char *stop = scan_token(at, end);
    if (sx_unlikely(stop - at > HTTP1_METHOD_BYTES_MAX))
        return refuse(head, 400, "the method is longer than 32 bytes");
    if (sx_unlikely(stop == end))
        return SX_AGAIN;
    if (sx_unlikely(*stop != ' ' || stop == at))
        return refuse(head, 400, "the request does not begin with a method");
    head->method_text = sx_str_of(at, (size_t)(stop - at));

    at = stop + 1;
    const char *target_end = end;
    if (sx_unlikely((size_t)(end - at) > limits->target_bytes_max))
        target_end = at + limits->target_bytes_max + 1;
    stop = scan_target(at, target_end);
    if (sx_unlikely((size_t)(stop - at) > limits->target_bytes_max))
        return refuse(head, 414, "the request target is too long");
    if (sx_unlikely(stop == end))
        return SX_AGAIN;
    if (sx_unlikely(*stop != ' ' || stop == at)) {
        if (*stop == '\r' && stop != at) {
            sx_status rc = line_end(stop, end, head);
            return rc == SX_OK ? refuse(head, 505, "HTTP/0.9 is not served") : rc;
        }
        return refuse(head, 400, "the request target holds a byte that has to be escaped");
    }
    head->target = sx_str_of(at, (size_t)(stop - at));
    sx_status rc = read_version(stop + 1, end, head);
    *next = stop + 1 + 10;
    return rc;
}

/* ---- fields ---- */

/* The few fields that decide how the connection goes on, counted while the lines are read. */
typedef struct known {
    sx_str host, content_length, transfer_encoding, upgrade;
    unsigned hosts, content_lengths, transfer_encodings, expects;
    bool says_close, says_keep_alive, says_upgrade, expects_continue;
} known;

/* Eight bytes with letters made small. Of the bytes of a token only letters become these letters. */
static inline uint64_t small8(const char *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word | 0x2020202020202020;
}

/* Whether `name`, which lies in the head and is `bytes` long, is `small` but for case. Loads overlap
 * rather than loop; those of a shorter name reach into what follows it, or the slack. */
static inline bool is_named(sx_str name, const char *small, size_t bytes)
{
    if (bytes < 8) {
        uint64_t want = 0, mask = ~(uint64_t)0 >> (64 - 8 * bytes);
        memcpy(&want, small, bytes);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        mask = ~(uint64_t)0 << (64 - 8 * bytes);
#endif
        return ((small8(name.data) ^ want) & mask) == 0;
    }
    uint64_t first, last, middle;
    memcpy(&first, small, sizeof(first));
    memcpy(&last, small + bytes - 8, sizeof(last));
    if (small8(name.data) != first || small8(name.data + bytes - 8) != last)
        return false;
    if (bytes <= 16)
        return true;
    memcpy(&middle, small + 8, sizeof(middle));
    return small8(name.data + 8) == middle;
}

static SX_COLD void read_connection(sx_str value, known *k)
{
    sx_str token;
    while (value.len) {
        sx_str_cut(value, ',', &token, &value);
        token = sx_str_trim(token);
        if (sx_str_ieq(token, SX_STR("close")))
            k->says_close = true;
        else if (sx_str_ieq(token, SX_STR("keep-alive")))
            k->says_keep_alive = true;
        else if (sx_str_ieq(token, SX_STR("upgrade")))
            k->says_upgrade = true;
    }
}

static inline void note_known(sx_str name, sx_str value, known *k)
{
    switch (name.len) {
    case 4:
        if (is_named(name, "host", 4)) {
            k->host = value;
            k->hosts++;
        }
        break;
    case 6:
        if (is_named(name, "expect", 6)) {
            k->expects++;
            k->expects_continue = sx_str_ieq(value, SX_STR("100-continue"));
        }
        break;
    case 7:
        if (is_named(name, "upgrade", 7))
            k->upgrade = value;
        break;
    case 10:
        if (is_named(name, "connection", 10)) {
            /* The usual value is the default of 1.1, and of 1.0 nothing but a flag. */
            if (value.len == 10 && is_named(value, "keep-alive", 10))
                k->says_keep_alive = true;
            else
                read_connection(value, k);
        }
        break;
    case 14:
        if (is_named(name, "content-length", 14)) {
            k->content_length = value;
            k->content_lengths++;
        }
        break;
    case 17:
        if (is_named(name, "transfer-encoding", 17)) {
            k->transfer_encoding = value;
            k->transfer_encodings++;
        }
        break;
    default:
        break;
    }
}

static SX_COLD sx_status refuse_name(http1_head *head, const char *at, const char *stop)
{
    if (stop == at && (*stop == ' ' || *stop == '\t'))
        return refuse(head, 400, "a line begins with white space: folded fields are obsolete");
    if (*stop == ' ' || *stop == '\t')
        return refuse(head, 400, "white space in or after a field name");
    if (stop == at && *stop == ':')
        return refuse(head, 400, "a field without a name");
    return refuse(head, 400, "a field name with a byte that no name may have");
}

/* Reads field lines from *at to the empty one. On SX_AGAIN *at is the incomplete line. */
static sx_status read_fields(const char **line, const char *end, const sx_http_limits *limits,
                             sx_header *headers, uint32_t *count, known *k, http1_head *head)
{
    const char *at = *line;
    for (;; *line = at) {
        if (sx_unlikely(at == end))
            return SX_AGAIN;
        if (*at == '\r') {
            sx_status rc = line_end(at, end, head);
            if (rc == SX_OK)
                *line = at + 2;
            return rc;
        }
        if (sx_unlikely(*count == limits->header_count_max))
            return refuse(head, 431, "too many header fields");
        const char *stop = scan_token(at, end);
        if (sx_unlikely(stop == end))
            return SX_AGAIN;
        if (sx_unlikely(*stop != ':' || stop == at))
            return refuse_name(head, at, stop);
        sx_str name = sx_str_of(at, (size_t)(stop - at));

        const char *value = stop + 1;
        stop = scan_value(value, end);
        sx_status rc = line_end(stop, end, head);
        if (sx_unlikely(rc != SX_OK))
            return rc;
        at = stop + 2;
        while (value < stop && (*value == ' ' || *value == '\t'))
            value++;
        while (value < stop && (stop[-1] == ' ' || stop[-1] == '\t'))
            stop--;
        sx_str text = sx_str_of(value, (size_t)(stop - value));
        headers[*count] = (sx_header){name, text};
        (*count)++;
        note_known(name, text, k);
    }
}

/* ---- the whole head ---- */

static bool is_host(sx_str host)
{
    for (size_t i = 0; i < host.len; i++) {
        if (!(http1_byte_kind[(uint8_t)host.data[i]] & HTTP1_HOST))
            return false;
    }
    return true;
}

/* RFC 9112, section 3.2: the four forms of a target. */
static sx_status read_target_form(http1_head *head)
{
    sx_str target = head->target;
    if (sx_likely(target.data[0] == '/' && head->method != SX_CONNECT)) {
        sx_str_cut(target, '?', &head->path, &head->query);
        return SX_OK;
    }
    head->path = SX_STR("/");
    if (head->method == SX_CONNECT) {
        sx_str host, port;
        size_t colon = target.len;
        while (colon > 0 && target.data[colon - 1] != ':')
            colon--;
        host = sx_str_first(target, colon ? colon - 1 : 0);
        port = sx_str_from(target, colon);
        uint64_t number;
        if (host.len == 0 || !is_host(host) || !sx_str_to_u64(port, &number) || number > 65535)
            return refuse(head, 400, "CONNECT wants host:port as its target");
        head->authority = target;
        return SX_OK;
    }
    if (target.len == 1 && target.data[0] == '*') {
        if (head->method != SX_OPTIONS)
            return refuse(head, 400, "the target '*' is for OPTIONS alone");
        return SX_OK;
    }
    bool is_http = target.len > 7 && sx_str_ieq(sx_str_first(target, 7), SX_STR("http://"));
    bool is_https = target.len > 8 && sx_str_ieq(sx_str_first(target, 8), SX_STR("https://"));
    if (!is_http && !is_https)
        return refuse(head, 400, "the target is neither a path nor an http URI");
    sx_str rest = sx_str_from(target, is_http ? 7 : 8);
    size_t slash = 0;
    while (slash < rest.len && rest.data[slash] != '/' && rest.data[slash] != '?')
        slash++;
    head->authority = sx_str_first(rest, slash);
    if (head->authority.len == 0 || !is_host(head->authority))
        return refuse(head, 400, "the target's host is not one"); /* user@ is refused here too */
    rest = sx_str_from(rest, slash);
    sx_str_cut(rest, '?', &rest, &head->query);
    if (rest.len)
        head->path = rest;
    return SX_OK;
}

/* RFC 9112, section 6: how long is the body? Where the specification lets a server choose between
 * repairing and refusing, it is refused. */
static sx_status read_length(const known *k, http1_head *head)
{
    head->content_bytes = 0;
    if (sx_likely(!k->content_lengths && !k->transfer_encodings))
        return SX_OK;
    if (k->transfer_encodings) {
        if (k->content_lengths)
            return refuse(head, 400, "both Transfer-Encoding and Content-Length");
        if (head->version == 10)
            return refuse(head, 400, "Transfer-Encoding in HTTP/1.0");
        if (k->transfer_encodings > 1)
            return refuse(head, 400, "more than one Transfer-Encoding");
        sx_str coding = k->transfer_encoding;
        if (!sx_str_ieq(coding, SX_STR("chunked"))) {
            size_t tail = coding.len > 7 ? coding.len - 7 : 0;
            bool ends_chunked = sx_str_ieq(sx_str_from(coding, tail), SX_STR("chunked")) &&
                                tail > 0 && strchr(", \t", coding.data[tail - 1]);
            return ends_chunked ? refuse(head, 501, "no transfer coding but chunked is served")
                                : refuse(head, 400, "Transfer-Encoding does not end in chunked");
        }
        head->content_bytes = -1;
        return SX_OK;
    }
    uint64_t bytes;
    if (k->content_lengths > 1)
        return refuse(head, 400, "more than one Content-Length");
    if (!sx_str_to_u64(k->content_length, &bytes) || bytes > INT64_MAX)
        return refuse(head, 400, "Content-Length is not a number");
    head->content_bytes = (int64_t)bytes;
    return SX_OK;
}

static sx_status finish(const known *k, http1_head *head)
{
    head->method = http1_method_of(head->method_text);
    head->query = head->authority = head->upgrade = sx_str_of(NULL, 0);
    head->scheme = sx_str_of(NULL, 0);
    sx_status rc = read_target_form(head);
    if (rc != SX_OK)
        return rc;
    if (sx_unlikely(k->hosts != 1)) {
        if (k->hosts > 1)
            return refuse(head, 400, "more than one Host");
        if (head->version == 11)
            return refuse(head, 400, "no Host, which HTTP/1.1 requires");
    }
    if (!is_host(k->host))
        return refuse(head, 400, "Host holds a byte that no host has");
    if (!head->authority.len)
        head->authority = k->host;
    rc = read_length(k, head);
    if (rc != SX_OK)
        return rc;
    head->expects_continue = false;
    if (sx_unlikely(k->expects && head->version == 11)) { /* 1.0's is ignored: RFC 9110, 10.1.1 */
        if (k->expects > 1 || !k->expects_continue)
            return refuse(head, 417, "no expectation but 100-continue can be met");
        head->expects_continue = true;
    }
    head->keep_alive = !k->says_close && (head->version == 11 || k->says_keep_alive);
    if (k->says_upgrade && head->version == 11)
        head->upgrade = k->upgrade;
    return SX_OK;
}

/* One walk from where progress stands. *k and the headers are whole only if that was the start. */
static sx_status walk(const char *data, const char *end, const sx_http_limits *limits,
                      http1_progress *p, sx_header *headers, http1_head *head, known *k)
{
    const char *at = data + p->line_at;
    sx_status rc;
    if (p->section == SECTION_START) {
        if (at == end)
            return SX_AGAIN;
        if (sx_unlikely(*at == '\r')) { /* one empty line before is tolerated: RFC 9112, 2.2 */
            rc = line_end(at, end, head);
            if (rc != SX_OK)
                return rc;
            at += 2;
        }
        p->line_at = (uint32_t)(at - data);
        p->section = SECTION_REQUEST_LINE;
    }
    if (p->section == SECTION_REQUEST_LINE) {
        rc = read_request_line(at, end, limits, head, &at);
        if (rc != SX_OK)
            return rc;
        p->line_at = (uint32_t)(at - data);
        p->section = SECTION_FIELDS;
    }
    rc = read_fields(&at, end, limits, headers, &p->fields, k, head);
    p->line_at = (uint32_t)(at - data);
    return rc;
}

sx_status http1_head_parse(const char *data, size_t len, const sx_http_limits *limits,
                           http1_progress *progress, sx_header *headers, http1_head *head)
{
    const char *end = data + (len < limits->header_bytes_max ? len : limits->header_bytes_max);
    known k = {0};
    bool is_whole = progress->line_at == 0 && progress->section == SECTION_START;
    sx_status rc = walk(data, end, limits, progress, headers, head, &k);
    if (rc == SX_OK && !is_whole) {
        /* The lines before were seen by an earlier call, whose bytes may have moved since. All are
         * known to be good: read them once more, now that they lie together. */
        *progress = (http1_progress){0};
        k = (known){0};
        rc = walk(data, end, limits, progress, headers, head, &k);
    }
    if (sx_unlikely(rc != SX_OK)) {
        if (rc == SX_AGAIN && len >= limits->header_bytes_max)
            return refuse(head, 431, "the request's head is too large");
        return rc;
    }
    head->header_count = progress->fields;
    head->bytes = progress->line_at;
    return finish(&k, head);
}
