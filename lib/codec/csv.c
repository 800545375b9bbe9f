/* csv.c - the CSV reader.
 *
 * A record is scanned where it lies, in the caller's chunk, 64 bytes at a time: one bit a byte says
 * whether it is a delimiter, a quote or a line end, and the scanner goes from bit to bit. A record that
 * a chunk's end cuts moves to `carry`, where the scan goes on from where it was as more comes, so the
 * work is linear however small the chunks are:
 *
 *     BETWEEN -> FIELD -> PLAIN  -> FIELD ... -> BETWEEN      at delimiters and line ends
 *                      -> QUOTED <-> QUOTE_SEEN -> FIELD, BETWEEN, or PLAIN after a flaw
 *     SKIPPING: over the rest of a line whose record was too long
 *
 * Fields that need rewriting (doubled quotes) are collected as raw spans and rewritten when the record
 * is complete, into `scratch`. */
#include <sextant/csv.h>

#include <sextant/mem.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    FIELD_BYTES_MAX = 1 << 20,
    FIELDS_MAX = 4096,
    RECORD_BYTES_MAX = 16 << 20,
    BLOCK = 64,         /* bytes looked at together */
    CARRY_SLICE = 4096, /* how much of a chunk is copied behind a carried record at a time */
};

/* No offset is within a block that begins here: the distance wraps around and is large. */
#define NO_BLOCK (SIZE_MAX - BLOCK)

static const char BOM[3] = "\xef\xbb\xbf";

typedef enum csv_state { BETWEEN, FIELD, PLAIN, QUOTED, QUOTE_SEEN, SKIPPING } csv_state;

typedef enum scan_result { SCAN_DONE, SCAN_MORE, SCAN_FAILED } scan_result;

struct sx_csv_reader {
    sx_csv_options o; /* complete */

    sx_str chunk;    /* borrowed from the caller until SX_AGAIN */
    size_t chunk_at; /* first byte of it not yet taken */
    bool ended;      /* finish was called */
    bool skip_lf;    /* the last line ended with CR: an LF now belongs to it */
    bool bom_done;   /* past the place where a byte-order mark may be */
    size_t bom_len;  /* bytes of one that were seen, then given back if it was none */

    bool carried; /* the record is in `carry`, not in `chunk` */
    sx_buf carry;
    csv_state state;
    const char *base; /* chunk.data or carry.data; the offsets below count from it */
    size_t base_len;  /* bytes there are at base */
    size_t start;     /* of the record */
    size_t field_at;  /* of the field under way, at its opening quote if it has one */
    size_t at;        /* next byte to look at */
    size_t block_at;  /* the block that `block` describes, or NO_BLOCK */
    uint64_t block;

    sx_str *fields;
    size_t count, cap;
    size_t *raw; /* indices of fields that are raw spans, from the opening quote on */
    size_t raw_count, raw_cap;
    sx_buf scratch;
    bool field_raw;  /* the field under way is one */
    bool any_quoted; /* the record may hold line ends */
    unsigned flaws;
    uint64_t line, number;
    sx_status failed;
};

/* ---- Life ---- */

sx_csv_reader *sx_csv_reader_new(const sx_csv_options *options, sx_error *err)
{
    sx_csv_options o = options ? *options : (sx_csv_options){0};
    o.delimiter = o.delimiter ? o.delimiter : ',';
    o.quote = o.quote ? o.quote : '"';
    o.field_bytes_max = o.field_bytes_max ? o.field_bytes_max : FIELD_BYTES_MAX;
    o.fields_max = o.fields_max ? o.fields_max : FIELDS_MAX;
    o.record_bytes_max = o.record_bytes_max ? o.record_bytes_max : RECORD_BYTES_MAX;
    if (o.no_quotes)
        o.quote = o.delimiter; /* never reached as a quote: the delimiter is tested first */
    if ((!o.no_quotes && o.delimiter == o.quote) || o.delimiter == '\n' || o.delimiter == '\r' ||
        o.quote == '\n' || o.quote == '\r') {
        sx_fail(err, SX_EINVAL, "a CSV delimiter and quote must differ and not be line ends");
        return NULL;
    }
    sx_csv_reader *r = sx_calloc(1, sizeof(*r));
    if (!r) {
        sx_fail_memory(err, "a CSV reader");
        return NULL;
    }
    r->o = o;
    sx_csv_reader_reset(r);
    return r;
}

void sx_csv_reader_free(sx_csv_reader *r)
{
    if (!r)
        return;
    sx_buf_done(&r->carry);
    sx_buf_done(&r->scratch);
    sx_free(r->fields);
    sx_free(r->raw);
    sx_free(r);
}

void sx_csv_reader_reset(sx_csv_reader *r)
{
    r->chunk = sx_str_of("", 0);
    r->chunk_at = r->bom_len = 0;
    r->ended = r->skip_lf = r->bom_done = r->carried = false;
    r->state = BETWEEN;
    r->line = 1;
    r->number = 0;
    r->failed = SX_OK;
    sx_buf_clear(&r->carry);
}

void sx_csv_feed(sx_csv_reader *r, sx_str chunk)
{
    sx_assert(!r->ended && r->chunk_at == r->chunk.len);
    r->chunk = chunk.data ? chunk : sx_str_of("", 0);
    r->chunk_at = 0;
    r->block_at = NO_BLOCK; /* the caller may have filled the same memory anew */
}

void sx_csv_finish(sx_csv_reader *r)
{
    r->ended = true;
}

/* ---- Errors ---- */

/* Line ends in `text`: CRLF is one. */
static uint64_t count_lines(sx_str text)
{
    uint64_t lines = 0;
    for (const char *p = text.data, *end = text.data + text.len;
         p < end && (p = memchr(p, '\n', (size_t)(end - p))) != NULL; p++)
        lines++;
    for (const char *p = text.data, *end = text.data + text.len;
         p < end && (p = memchr(p, '\r', (size_t)(end - p))) != NULL; p++)
        lines += p + 1 == end || p[1] != '\n';
    return lines;
}

/* Fails for good, with the line and column of the byte at `at`. */
static SX_COLD scan_result fail_at(sx_csv_reader *r, size_t at, sx_status status, sx_error *err)
{
    sx_str before = sx_str_of(r->base + r->start, at - r->start);
    size_t column = 1;
    while (column <= before.len && before.data[before.len - column] != '\n' &&
           before.data[before.len - column] != '\r')
        column++;
    r->failed = status;
    sx_error_prefix(err, status, "line %llu, column %zu",
                    (unsigned long long)(r->line + count_lines(before)), column);
    return SCAN_FAILED;
}

static SX_COLD scan_result fail_memory(sx_csv_reader *r, sx_error *err)
{
    r->failed = sx_fail_memory(err, "a CSV record");
    return SCAN_FAILED;
}

/* A flaw at byte `at`: a flag for the lenient, an error for the strict. */
static SX_COLD scan_result flaw_at(sx_csv_reader *r, size_t at, sx_csv_flaw flaw, sx_error *err)
{
    r->flaws |= flaw;
    if (!r->o.strict)
        return SCAN_DONE;
    sx_status status = SX_ELIMIT;
    switch (flaw) {
    case SX_CSV_STRAY_QUOTE:
        status = sx_fail(err, SX_EFORMAT,
                         "a stray quote; quote the whole field and double "
                         "the quotes inside it");
        break;
    case SX_CSV_UNTERMINATED:
        status = sx_fail(err, SX_EFORMAT, "the input ends inside a quoted field");
        break;
    case SX_CSV_FIELD_TOO_LONG:
        sx_fail(err, status, "a field is longer than the limit of %zu bytes (field_bytes_max)",
                r->o.field_bytes_max);
        break;
    case SX_CSV_TOO_MANY_FIELDS:
        sx_fail(err, status, "more fields than the limit of %zu (fields_max)", r->o.fields_max);
        break;
    case SX_CSV_RECORD_TOO_LONG:
        sx_fail(err, status, "a record is longer than the limit of %zu bytes (record_bytes_max)",
                r->o.record_bytes_max);
        break;
    }
    return fail_at(r, at, status, err);
}

/* ---- Scanning ---- */

/* One bit for each byte of p[0..64) that is a delimiter, a quote, CR or LF. */
static inline uint64_t find_special(const char *p, char delimiter, char quote)
{
    uint64_t bits = 0;
#ifdef __SSE2__
    const __m128i d = _mm_set1_epi8(delimiter), q = _mm_set1_epi8(quote);
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r');
    for (int i = 0; i < BLOCK; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i));
        __m128i hit = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, d), _mm_cmpeq_epi8(v, q)),
                                   _mm_or_si128(_mm_cmpeq_epi8(v, lf), _mm_cmpeq_epi8(v, cr)));
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(hit) << i;
    }
#else
    for (int i = 0; i < BLOCK; i++) {
        bool hit = p[i] == delimiter || p[i] == quote || p[i] == '\n' || p[i] == '\r';
        bits |= (uint64_t)hit << i;
    }
#endif
    return bits;
}

/* Describes the block that begins at `at`, which may reach past the end of the data. */
static inline void load_block(sx_csv_reader *r, size_t at)
{
    r->block_at = at;
    if (sx_likely(r->base_len - at >= BLOCK)) {
        r->block = find_special(r->base + at, r->o.delimiter, r->o.quote);
        return;
    }
    char tail[BLOCK] = {0};
    size_t len = r->base_len - at;
    memcpy(tail, r->base + at, len);
    r->block = find_special(tail, r->o.delimiter, r->o.quote); /* which are never zero */
}

/* Offset of the first special byte at or after `at`, `len` if there is none before it. */
static inline size_t next_special(sx_csv_reader *r, size_t at, size_t len)
{
    while (at < len) {
        if (at - r->block_at >= BLOCK)
            load_block(r, at);
        uint64_t rest = r->block >> (at - r->block_at);
        if (rest) {
            at += (size_t)__builtin_ctzll(rest);
            return at < len ? at : len;
        }
        at = r->block_at + BLOCK;
    }
    return len;
}

/* The rare halves of adding a field. False: failed. */
static SX_COLD bool add_field_slow(sx_csv_reader *r, const char *data, size_t len, bool raw,
                                   sx_error *err)
{
    size_t at = (size_t)(data - r->base);
    if (r->count == r->o.fields_max)
        return flaw_at(r, at, SX_CSV_TOO_MANY_FIELDS, err) == SCAN_DONE;
    if (!raw && len > r->o.field_bytes_max) {
        if (flaw_at(r, at, SX_CSV_FIELD_TOO_LONG, err) != SCAN_DONE)
            return false;
        len = r->o.field_bytes_max;
    }
    if (!sx_grow(&r->fields, &r->cap, r->count + 1, sizeof(*r->fields)) ||
        (raw && !sx_grow(&r->raw, &r->raw_cap, r->raw_count + 1, sizeof(*r->raw)))) {
        fail_memory(r, err);
        return false;
    }
    if (raw)
        r->raw[r->raw_count++] = r->count;
    r->fields[r->count++] = sx_str_of(data, len);
    return true;
}

static inline bool add_field(sx_csv_reader *r, const char *data, size_t len, bool raw,
                             sx_error *err)
{
    if (sx_unlikely(raw || r->count == r->cap || r->count == r->o.fields_max ||
                    len > r->o.field_bytes_max))
        return add_field_slow(r, data, len, raw, err);
    r->fields[r->count++] = sx_str_of(data, len);
    return true;
}

/* HOT: 1 GB/s. Goes over unquoted fields until the record ends, the data ends, or a field opens with a
 * quote (the state is then FIELD). */
static scan_result scan_plain(sx_csv_reader *r, size_t len, sx_error *err)
{
    const char *base = r->base, delimiter = r->o.delimiter, quote = r->o.quote;
    size_t at = r->at;
    for (;;) {
        size_t hit = next_special(r, at, len);
        r->at = hit;
        if (hit == len)
            return SCAN_MORE;
        char byte = base[hit];
        if (byte == delimiter) {
            if (!add_field(r, base + r->field_at, hit - r->field_at, r->field_raw, err))
                return SCAN_FAILED;
            r->field_raw = false;
            r->field_at = r->at = at = hit + 1;
            if (at < len && (base[at] != quote || quote == delimiter))
                continue;
            r->state = FIELD;
            return SCAN_DONE;
        }
        r->at = at = hit + 1;
        if (byte == '\n' || byte == '\r') {
            r->skip_lf = byte == '\r';
            r->state = BETWEEN;
            return add_field(r, base + r->field_at, hit - r->field_at, r->field_raw, err)
                       ? SCAN_DONE
                       : SCAN_FAILED;
        }
        if (flaw_at(r, hit, SX_CSV_STRAY_QUOTE, err) != SCAN_DONE)
            return SCAN_FAILED;
    }
}

/* A field that is quoted: between its quotes, and what follows the closing one. */
static scan_result scan_quoted(sx_csv_reader *r, size_t len, sx_error *err)
{
    const char *base = r->base;
    for (;;) {
        if (r->at == len)
            return SCAN_MORE;
        if (r->state == QUOTED) {
            const char *quote = memchr(base + r->at, r->o.quote, len - r->at);
            if (!quote) {
                r->at = len;
                return SCAN_MORE;
            }
            r->at = (size_t)(quote - base) + 1;
            r->state = QUOTE_SEEN;
            continue;
        }
        char byte = base[r->at];
        if (byte == r->o.quote) {
            r->field_raw = true;
            r->at++;
            r->state = QUOTED;
            continue;
        }
        bool line_end = byte == '\n' || byte == '\r';
        if (byte != r->o.delimiter && !line_end) {
            r->field_raw = true;
            r->state = PLAIN;
            return flaw_at(r, r->at, SX_CSV_STRAY_QUOTE, err);
        }
        size_t from = r->field_raw ? r->field_at : r->field_at + 1;
        size_t to = r->field_raw ? r->at : r->at - 1;
        r->at++;
        if (!add_field(r, base + from, to - from, r->field_raw, err))
            return SCAN_FAILED;
        r->field_raw = false;
        r->field_at = r->at;
        r->skip_lf = byte == '\r';
        r->state = line_end ? BETWEEN : FIELD;
        return SCAN_DONE;
    }
}

/* Scans the record up to `len`. SCAN_DONE: it is complete, `at` is after its line end. */
static scan_result scan(sx_csv_reader *r, size_t len, sx_error *err)
{
    scan_result result = SCAN_DONE;
    while (result == SCAN_DONE && r->state != BETWEEN) {
        if (r->state == FIELD) {
            if (r->at == len)
                return SCAN_MORE;
            r->field_at = r->at;
            bool opens = r->base[r->at] == r->o.quote && !r->o.no_quotes;
            r->state = opens ? QUOTED : PLAIN;
            r->at += opens;
            r->any_quoted |= opens;
        }
        result = r->state == PLAIN ? scan_plain(r, len, err) : scan_quoted(r, len, err);
    }
    return result;
}

/* ---- Records ---- */

/* Rewrites one raw span, which opens with a quote: quotes go, doubled ones become one, and what follows
 * a closing quote is text. */
static sx_str unquote(sx_str raw, char quote, char *to)
{
    const char *p = raw.data + 1, *end = raw.data + raw.len;
    char *out = to;
    while (p < end) {
        const char *hit = memchr(p, quote, (size_t)(end - p));
        size_t len = (size_t)((hit ? hit : end) - p);
        memcpy(out, p, len);
        out += len;
        if (!hit)
            break;
        p = hit + 1;
        if (p == end || *p != quote) {
            memcpy(out, p, (size_t)(end - p));
            out += end - p;
            break;
        }
        *out++ = *p++;
    }
    return sx_str_of(to, (size_t)(out - to));
}

static scan_result unquote_all(sx_csv_reader *r, sx_error *err)
{
    size_t bytes = 1;
    for (size_t i = 0; i < r->raw_count; i++)
        bytes += r->fields[r->raw[i]].len;
    sx_buf_clear(&r->scratch);
    char *to = sx_buf_reserve(&r->scratch, bytes);
    if (!to)
        return fail_memory(r, err);
    for (size_t i = 0; i < r->raw_count; i++) {
        sx_str *field = &r->fields[r->raw[i]];
        size_t at = (size_t)(field->data - r->base);
        *field = unquote(*field, r->o.quote, to);
        to += field->len;
        if (field->len > r->o.field_bytes_max) {
            if (flaw_at(r, at, SX_CSV_FIELD_TOO_LONG, err) != SCAN_DONE)
                return SCAN_FAILED;
            field->len = r->o.field_bytes_max;
        }
    }
    return SCAN_DONE;
}

/* Gives out the complete record, whose bytes (line end and all) are base[start..end). */
static sx_status give_record(sx_csv_reader *r, size_t end, bool line_ended, sx_csv_record *record,
                             sx_error *err)
{
    if (r->raw_count && unquote_all(r, err) != SCAN_DONE)
        return r->failed;
    *record = (sx_csv_record){r->fields, r->count, r->line, ++r->number, r->flaws};
    size_t text = end - r->start - (line_ended ? 1 : 0);
    if (r->any_quoted)
        r->line += count_lines(sx_str_of(r->base + r->start, text));
    r->line += line_ended;
    return SX_OK;
}

/* The record ends here without a line end: at the end of the input, or at the limit. */
static sx_status cut_record(sx_csv_reader *r, sx_csv_flaw flaw, sx_csv_record *record,
                            sx_error *err)
{
    size_t from = r->field_at, to = r->at;
    if (flaw && flaw_at(r, r->start, flaw, err) != SCAN_DONE)
        return r->failed;
    if (r->state == FIELD)
        from = to;
    else if (r->state == QUOTED)
        r->field_raw = true; /* the quote that opened it is still to be taken off */
    else if (r->state == QUOTE_SEEN && !r->field_raw)
        from++, to--;
    if (!add_field(r, r->base + from, to - from, r->field_raw, err))
        return r->failed;
    r->state = flaw == SX_CSV_RECORD_TOO_LONG ? SKIPPING : BETWEEN;
    return give_record(r, r->at, false, record, err);
}

/* Points the fields that were found so far at where the record has moved. */
static void rebase(sx_csv_reader *r, uintptr_t old_start)
{
    const char *to = r->carry.data;
    for (size_t i = 0; i < r->count; i++)
        r->fields[i].data = to + ((uintptr_t)r->fields[i].data - old_start);
    r->base = to;
    r->base_len = r->carry.len;
    r->block_at = NO_BLOCK;
}

/* Moves the record begun in the chunk to `carry`, and with it the chunk's rest. */
static sx_status carry_record(sx_csv_reader *r, sx_error *err)
{
    uintptr_t old_start = (uintptr_t)(r->base + r->start);
    sx_buf_clear(&r->carry);
    sx_buf_bytes(&r->carry, r->base + r->start, r->base_len - r->start);
    if (r->carry.failed) {
        fail_memory(r, err);
        return r->failed;
    }
    r->at -= r->start;
    r->field_at -= r->start;
    r->start = 0;
    r->carried = true;
    r->chunk_at = r->chunk.len;
    rebase(r, old_start);
    return SX_AGAIN;
}

/* Takes the byte-order mark, line ends left over and blank lines. SX_OK: a record begins. */
static sx_status begin_record(sx_csv_reader *r)
{
    for (; r->chunk_at < r->chunk.len; r->chunk_at++) {
        char byte = r->chunk.data[r->chunk_at];
        bool line_end = byte == '\n' || byte == '\r';
        if (!r->bom_done && byte == BOM[r->bom_len]) {
            r->bom_done = ++r->bom_len == sizeof(BOM);
            if (r->bom_done)
                r->bom_len = 0;
            continue;
        }
        r->bom_done = true;
        bool rest_of_crlf = r->skip_lf && byte == '\n';
        r->skip_lf = false;
        if (rest_of_crlf)
            continue;
        if (r->state == SKIPPING) {
            if (!line_end)
                continue;
            r->state = BETWEEN;
        } else if (!line_end || r->o.keep_blank_lines || r->bom_len) {
            return SX_OK;
        }
        r->skip_lf = byte == '\r';
        r->line++;
    }
    if (r->ended && r->bom_len && r->bom_len < sizeof(BOM)) {
        r->bom_done = true; /* the file was the beginning of a mark and nothing more */
        return SX_OK;
    }
    return r->ended ? SX_END : SX_AGAIN;
}

/* Sets up the record that begins in the chunk, or in `carry` with the bytes that looked like the
 * beginning of a byte-order mark and were not. */
static sx_status set_up_record(sx_csv_reader *r, sx_error *err)
{
    r->count = r->raw_count = 0;
    r->flaws = 0;
    r->field_raw = r->any_quoted = false;
    r->state = FIELD;
    if (r->base != r->chunk.data)
        r->block_at = NO_BLOCK;
    r->carried = r->bom_len > 0;
    if (r->carried) {
        sx_buf_clear(&r->carry);
        sx_buf_bytes(&r->carry, BOM, r->bom_len);
        r->bom_len = 0;
        if (r->carry.failed) {
            fail_memory(r, err);
            return r->failed;
        }
        r->start = r->at = r->field_at = 0;
        rebase(r, 0);
        return SX_OK;
    }
    r->base = r->chunk.data;
    r->base_len = r->chunk.len;
    r->start = r->at = r->field_at = r->chunk_at;
    return SX_OK;
}

static sx_status end_of_data(sx_csv_reader *r, sx_csv_record *record, sx_error *err)
{
    return cut_record(r, r->state == QUOTED ? SX_CSV_UNTERMINATED : 0, record, err);
}

/* A record that lies in the chunk, as most do. */
static sx_status next_in_chunk(sx_csv_reader *r, sx_csv_record *record, sx_error *err)
{
    size_t most = r->o.record_bytes_max, len = r->base_len;
    if (len - r->start > most)
        len = r->start + most;
    switch (scan(r, len, err)) {
    case SCAN_FAILED:
        return r->failed;
    case SCAN_DONE:
        r->chunk_at = r->at;
        return give_record(r, r->at, true, record, err);
    case SCAN_MORE:
        break;
    }
    if (len - r->start == most) {
        r->chunk_at = len;
        return cut_record(r, SX_CSV_RECORD_TOO_LONG, record, err);
    }
    if (!r->ended)
        return carry_record(r, err);
    r->chunk_at = len;
    return end_of_data(r, record, err);
}

/* A record that earlier chunks began: the new one's bytes are added a slice at a time, and what turns
 * out to lie behind the record is left to the chunk. */
static sx_status next_in_carry(sx_csv_reader *r, sx_csv_record *record, sx_error *err)
{
    for (;;) {
        switch (scan(r, r->carry.len, err)) {
        case SCAN_FAILED:
            return r->failed;
        case SCAN_DONE:
            r->chunk_at -= r->carry.len - r->at;
            return give_record(r, r->at, true, record, err);
        case SCAN_MORE:
            break;
        }
        size_t slice = r->chunk.len - r->chunk_at, room = r->o.record_bytes_max - r->carry.len;
        if (room == 0)
            return cut_record(r, SX_CSV_RECORD_TOO_LONG, record, err);
        if (slice == 0)
            return r->ended ? end_of_data(r, record, err) : SX_AGAIN;
        slice = slice < CARRY_SLICE ? slice : CARRY_SLICE;
        slice = slice < room ? slice : room;
        uintptr_t old_start = (uintptr_t)r->base;
        sx_buf_bytes(&r->carry, r->chunk.data + r->chunk_at, slice);
        if (r->carry.failed) {
            fail_memory(r, err);
            return r->failed;
        }
        r->chunk_at += slice;
        rebase(r, old_start);
    }
}

sx_status sx_csv_next(sx_csv_reader *r, sx_csv_record *record, sx_error *err)
{
    if (sx_unlikely(r->failed != SX_OK))
        return sx_fail(err, r->failed, "the CSV reader has failed before");
    if (r->state == BETWEEN || r->state == SKIPPING) {
        sx_status status = begin_record(r);
        if (status == SX_OK)
            status = set_up_record(r, err);
        if (status != SX_OK)
            return status;
    }
    return r->carried ? next_in_carry(r, record, err) : next_in_chunk(r, record, err);
}
