/* exempt.c - see exempt.h. */
#include "service/exempt.h"

#include <arpa/inet.h>

static const uint8_t MAPPED[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* All addresses are of IPv6; *shift is by how much an IPv4 prefix is longer there. */
static bool read_address(sx_str text, uint8_t out[16], unsigned *shift)
{
    char z[INET6_ADDRSTRLEN];
    if (text.len == 0 || text.len >= sizeof(z))
        return false;
    memcpy(z, text.data, text.len);
    z[text.len] = '\0';
    *shift = 0;
    if (inet_pton(AF_INET6, z, out) == 1)
        return true;
    *shift = 96;
    memcpy(out, MAPPED, sizeof(MAPPED));
    return inet_pton(AF_INET, z, out + sizeof(MAPPED)) == 1;
}

static sx_status add(sx_exempt *e, sx_str item, sx_error *err)
{
    sx_str address, bits;
    uint64_t count = 128;
    unsigned shift;
    if (e->count == SX_EXEMPT_MAX)
        return sx_fail(err, SX_ELIMIT, "limits.exempt: more than %d addresses and prefixes",
                       SX_EXEMPT_MAX);
    bool has_bits = sx_str_cut(item, '/', &address, &bits);
    bool ok = read_address(address, e->prefixes[e->count].bytes, &shift);
    if (ok && has_bits)
        ok = sx_str_to_u64(bits, &count) && count <= 128 - shift;
    if (!ok)
        return sx_fail(err, SX_EINVAL,
                       "limits.exempt: \"%.*s\" is no address; write 10.1.2.3, 10.0.0.0/8, "
                       "2001:db8::/32 or loopback",
                       SX_ARG(item));
    e->prefixes[e->count++].bits = (unsigned)(has_bits ? count + shift : 128);
    return SX_OK;
}

sx_status sx_exempt_parse(sx_texts items, sx_exempt *out, sx_error *err)
{
    *out = (sx_exempt){0};
    sx_status status = SX_OK;
    for (size_t i = 0; i < items.count && status == SX_OK; i++) {
        if (!sx_str_eq(items.items[i], SX_STR("loopback"))) {
            status = add(out, items.items[i], err);
            continue;
        }
        out->loopback_socket = true;
        status = add(out, SX_STR("127.0.0.0/8"), err);
        if (status == SX_OK)
            status = add(out, SX_STR("::1"), err);
    }
    return status;
}

static bool begins(const uint8_t *address, const uint8_t *prefix, unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;
    if (memcmp(address, prefix, whole) != 0)
        return false;
    return rest == 0 || (address[whole] ^ prefix[whole]) >> (8 - rest) == 0;
}

bool sx_exempt_has(const sx_exempt *e, sx_str client)
{
    uint8_t address[16];
    unsigned shift;
    if (sx_likely(e->count == 0))
        return false;
    if (client.len == 0)
        return e->loopback_socket;
    if (!read_address(client, address, &shift))
        return false;
    for (size_t i = 0; i < e->count; i++)
        if (begins(address, e->prefixes[i].bytes, e->prefixes[i].bits))
            return true;
    return false;
}
