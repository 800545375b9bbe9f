/* proxy_protocol.c - see proxy_protocol.h. Strict: a header is whole and right, or refused. */
#include "net/proxy_protocol.h"

#include <arpa/inet.h>

static const char V2_SIGNATURE[] = "\r\n\r\n\0\r\nQUIT\n";
enum { V2_SIGNATURE_BYTES = 12, V2_HEAD_BYTES = 16, V1_BYTES_MAX = 107 };

/* The next word of a version 1 line, which single spaces separate. */
static bool next_word(sx_str *rest, sx_str *word)
{
    if (rest->len == 0)
        return false;
    sx_str_cut(*rest, ' ', word, rest);
    return word->len > 0;
}

static bool read_port(sx_str word, uint16_t *port)
{
    uint64_t number;
    if (word.len > 5 || (word.len > 1 && word.data[0] == '0') || !sx_str_to_u64(word, &number) ||
        number > 65535)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* Checks an address and writes it in its usual form. */
static bool read_address(int family, sx_str word, char out[static 46])
{
    char z[46];
    unsigned char raw[16];
    if (word.len >= sizeof(z) || sx_str_find_byte(word, '\0') < word.len)
        return false;
    memcpy(z, word.data, word.len);
    z[word.len] = '\0';
    return inet_pton(family, z, raw) == 1 && inet_ntop(family, raw, out, 46) != NULL;
}

/* `line` is without "PROXY " and CR LF. */
static sx_status read_v1_line(sx_str line, sx_peer *peer, sx_error *err)
{
    sx_str word, from, to, from_port, to_port;
    if (!next_word(&line, &word))
        return sx_fail(err, SX_EFORMAT, "PROXY header: no protocol");
    if (sx_str_eq(word, SX_STR("UNKNOWN")))
        return SX_OK; /* whatever follows is to be ignored */
    int family = sx_str_eq(word, SX_STR("TCP4"))   ? AF_INET
                 : sx_str_eq(word, SX_STR("TCP6")) ? AF_INET6
                                                   : 0;
    if (!family)
        return sx_fail(err, SX_EFORMAT,
                       "PROXY header: the protocol is neither TCP4, TCP6 nor "
                       "UNKNOWN");
    char address[46], ours[46];
    uint16_t port, our_port;
    if (!next_word(&line, &from) || !next_word(&line, &to) || !next_word(&line, &from_port) ||
        !read_address(family, from, address) || !read_address(family, to, ours))
        return sx_fail(err, SX_EFORMAT, "PROXY header: an address is missing or wrong");
    to_port = line;
    if (!read_port(from_port, &port) || !read_port(to_port, &our_port))
        return sx_fail(err, SX_EFORMAT, "PROXY header: a port is missing or wrong");
    memcpy(peer->address, address, sizeof(address));
    peer->port = port;
    return SX_OK;
}

static sx_status parse_v1(sx_str in, sx_peer *peer, size_t *bytes, sx_error *err)
{
    sx_str seen = sx_str_first(in, V1_BYTES_MAX);
    size_t cr = sx_str_find_byte(seen, '\r'), lf = sx_str_find_byte(seen, '\n');
    if (lf < cr)
        return sx_fail(err, SX_EFORMAT, "PROXY header: the line ends in a bare LF");
    if (cr == seen.len || cr + 1 == seen.len) {
        if (seen.len == V1_BYTES_MAX)
            return sx_fail(err, SX_EFORMAT, "PROXY header: the line is longer than %d bytes",
                           V1_BYTES_MAX);
        return SX_AGAIN;
    }
    if (seen.data[cr + 1] != '\n')
        return sx_fail(err, SX_EFORMAT, "PROXY header: a CR without LF");
    *bytes = cr + 2;
    return read_v1_line(sx_str_of(in.data + 6, cr - 6), peer, err);
}

static uint16_t be16(const char *at)
{
    return (uint16_t)((uint8_t)at[0] << 8 | (uint8_t)at[1]);
}

static sx_status parse_v2(sx_str in, sx_peer *peer, size_t *bytes, sx_error *err)
{
    if (in.len > V2_SIGNATURE_BYTES) { /* refused as soon as it is seen, whatever follows */
        uint8_t version = (uint8_t)in.data[12];
        if (version >> 4 != 2 || (version & 15) > 1)
            return sx_fail(err, SX_EFORMAT, "PROXY header: version or command %u is not known",
                           version);
    }
    if (in.len < V2_HEAD_BYTES)
        return SX_AGAIN;
    bool is_local = ((uint8_t)in.data[12] & 15) == 0;
    uint8_t family = (uint8_t)in.data[13] >> 4, transport = (uint8_t)in.data[13] & 15;
    size_t len = be16(in.data + 14);
    if (V2_HEAD_BYTES + len > SX_PROXY_BYTES_MAX)
        return sx_fail(err, SX_EFORMAT, "PROXY header: %zu bytes are too many", len);
    if (family > 3 || transport > 2)
        return sx_fail(err, SX_EFORMAT, "PROXY header: address family %u is not known", family);
    size_t address_bytes = family == 1 ? 4 : family == 2 ? 16 : 0;
    if (!is_local && address_bytes && len < 2 * address_bytes + 4)
        return sx_fail(err, SX_EFORMAT, "PROXY header: too short for its addresses");
    if (in.len < V2_HEAD_BYTES + len)
        return SX_AGAIN;
    *bytes = V2_HEAD_BYTES + len;
    if (is_local || !address_bytes)
        return SX_OK;
    const char *at = in.data + V2_HEAD_BYTES;
    inet_ntop(family == 1 ? AF_INET : AF_INET6, at, peer->address, sizeof(peer->address));
    peer->port = be16(at + 2 * address_bytes);
    return SX_OK;
}

sx_status sx_proxy_parse(sx_str in, sx_peer *peer, size_t *bytes, sx_error *err)
{
    size_t v1 = in.len < 6 ? in.len : 6;
    size_t v2 = in.len < V2_SIGNATURE_BYTES ? in.len : V2_SIGNATURE_BYTES;
    if (in.len == 0)
        return SX_AGAIN;
    if (memcmp(in.data, "PROXY ", v1) == 0)
        return v1 < 6 ? SX_AGAIN : parse_v1(in, peer, bytes, err);
    if (memcmp(in.data, V2_SIGNATURE, v2) == 0)
        return parse_v2(in, peer, bytes, err);
    return sx_fail(err, SX_EFORMAT, "PROXY header: the connection does not begin with one");
}
