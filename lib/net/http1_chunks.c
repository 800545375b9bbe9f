/* http1_chunks.c - the chunked transfer coding, read one byte at a time but for the data.
 *
 * A table-less state machine: it can stop and go on at any byte, which is all that cutting tests
 * ask for, and the bytes that it walks are few beside the data between them. */
#include "net/http1_parser.h"

enum {
    CHUNK_SIZE,      /* hexadecimal digits */
    CHUNK_BLANKS,    /* behind them: only an extension may follow */
    CHUNK_EXTENSION, /* from ';' to CR */
    CHUNK_QUOTED,    /* in a quoted string of it */
    CHUNK_ESCAPED,   /* behind a backslash in that */
    CHUNK_SIZE_LF,
    CHUNK_DATA,
    CHUNK_DATA_CR,
    CHUNK_DATA_LF,
    TRAILER_START, /* at the start of a line behind the last chunk */
    TRAILER_NAME,
    TRAILER_VALUE,
    TRAILER_LF,
    TRAILER_END_LF,
    CHUNKS_DONE
};

enum { SIZE_DIGITS_MAX = 16 };

static SX_COLD sx_status refuse(http1_chunks *c, int status, const char *why)
{
    c->status = status;
    c->why = why;
    return SX_EFORMAT;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static sx_status size_byte(http1_chunks *c, char byte)
{
    int digit = hex_value(byte);
    if (digit >= 0) {
        if (c->digits == SIZE_DIGITS_MAX || c->left > (uint64_t)INT64_MAX >> 4)
            return refuse(c, 400, "a chunk's size is too large");
        c->left = c->left << 4 | (unsigned)digit;
        c->digits++;
        return SX_OK;
    }
    if (c->digits == 0)
        return refuse(c, 400, "a chunk without a size");
    c->is_last = c->left == 0;
    if (byte == '\r')
        c->state = CHUNK_SIZE_LF;
    else if (byte == ';')
        c->state = CHUNK_EXTENSION;
    else if (byte == ' ' || byte == '\t')
        c->state = CHUNK_BLANKS;
    else
        return refuse(c, 400, "a chunk's size is not hexadecimal");
    return SX_OK;
}

/* One byte of a size line behind the size. RFC 9112, section 7.1.1. */
static sx_status extension_byte(http1_chunks *c, char byte)
{
    if (c->state == CHUNK_BLANKS) {
        if (byte == ';')
            c->state = CHUNK_EXTENSION;
        else if (byte != ' ' && byte != '\t')
            return refuse(c, 400, "white space behind a chunk's size");
        return SX_OK;
    }
    if (byte == '\r' && c->state == CHUNK_EXTENSION) {
        c->state = CHUNK_SIZE_LF;
        return SX_OK;
    }
    if (byte == '\r')
        return refuse(c, 400, "a quoted string in a chunk extension does not end");
    if (!(http1_byte_kind[(uint8_t)byte] & HTTP1_FIELD))
        return refuse(c, 400, "a control character in a chunk extension");
    if (c->state == CHUNK_ESCAPED)
        c->state = CHUNK_QUOTED;
    else if (byte == '"')
        c->state = c->state == CHUNK_QUOTED ? CHUNK_EXTENSION : CHUNK_QUOTED;
    else if (byte == '\\' && c->state == CHUNK_QUOTED)
        c->state = CHUNK_ESCAPED;
    return SX_OK;
}

/* One byte that is not chunk data. */
static sx_status one_byte(http1_chunks *c, char byte, uint32_t extra_bytes_max)
{
    uint8_t kind = http1_byte_kind[(uint8_t)byte];
    switch (c->state) {
    case CHUNK_SIZE:
        return size_byte(c, byte);
    case CHUNK_BLANKS:
    case CHUNK_EXTENSION:
    case CHUNK_QUOTED:
    case CHUNK_ESCAPED:
        if (extension_byte(c, byte) != SX_OK)
            return SX_EFORMAT;
        break;
    case CHUNK_SIZE_LF:
        if (byte != '\n')
            return refuse(c, 400, "a chunk's size line does not end in CR LF");
        c->state = c->is_last ? TRAILER_START : CHUNK_DATA;
        return SX_OK;
    case CHUNK_DATA_CR:
        if (byte != '\r')
            return refuse(c, 400, "a chunk is longer than its size");
        c->state = CHUNK_DATA_LF;
        return SX_OK;
    case CHUNK_DATA_LF:
        if (byte != '\n')
            return refuse(c, 400, "a chunk does not end in CR LF");
        c->state = CHUNK_SIZE;
        c->left = 0;
        c->digits = 0;
        return SX_OK;
    case TRAILER_START:
        if (byte == '\r')
            c->state = TRAILER_END_LF;
        else if (kind & HTTP1_TOKEN)
            c->state = TRAILER_NAME;
        else
            return refuse(c, 400, "a trailer does not begin with a name");
        break;
    case TRAILER_NAME:
        if (byte == ':')
            c->state = TRAILER_VALUE;
        else if (!(kind & HTTP1_TOKEN))
            return refuse(c, 400, "a trailer's name is no token");
        break;
    case TRAILER_VALUE:
        if (byte == '\r')
            c->state = TRAILER_LF;
        else if (!(kind & HTTP1_FIELD))
            return refuse(c, 400, "a control character in a trailer");
        break;
    case TRAILER_LF:
    case TRAILER_END_LF:
        if (byte != '\n')
            return refuse(c, 400, "a CR without LF in the trailers");
        c->state = c->state == TRAILER_LF ? TRAILER_START : CHUNKS_DONE;
        return SX_OK;
    default:
        sx_assert(c->state != CHUNKS_DONE);
        break;
    }
    /* Extensions and trailers are nothing that anybody asked for: all of a body's together are
     * bounded, or a sender could spend our time on them without end. */
    if (++c->extra_bytes > extra_bytes_max)
        return refuse(c, 431, "chunk extensions or trailers are too large");
    return SX_OK;
}

sx_status http1_chunks_read(http1_chunks *c, uint32_t extra_bytes_max, sx_str *in, sx_str *piece)
{
    while (in->len) {
        if (c->state == CHUNK_DATA) {
            *piece = sx_str_first(*in, c->left < in->len ? (size_t)c->left : in->len);
            *in = sx_str_from(*in, piece->len);
            c->left -= piece->len;
            if (c->left == 0)
                c->state = CHUNK_DATA_CR;
            return SX_OK;
        }
        char byte = in->data[0];
        *in = sx_str_from(*in, 1);
        sx_status rc = one_byte(c, byte, extra_bytes_max);
        if (rc != SX_OK)
            return rc;
        if (c->state == CHUNKS_DONE)
            return SX_END;
    }
    return SX_AGAIN;
}
