/* compress_http.c - choosing a content-coding from Accept-Encoding (RFC 9110 section 12.5.3). */
#include <sextant/compress.h>

#include "codec/qvalue.h"

/* Fills q[] per codec, and *other, from the field. */
static void read_field(sx_str accept, int q[SX_CODECS], int *other)
{
    for (int i = 0; i < SX_CODECS; i++)
        q[i] = SX_Q_ABSENT;
    *other = SX_Q_ABSENT;
    sx_str member, coding, params;
    while (accept.len) {
        sx_str_cut(accept, ',', &member, &accept);
        sx_str_cut(member, ';', &coding, &params);
        coding = sx_str_trim(coding);
        int weight = sx_qvalue_of(params);
        sx_codec codec;
        if (weight == SX_Q_ABSENT)
            continue;
        if (sx_str_eq(coding, SX_STR("*")))
            *other = weight;
        else if (sx_codec_of_coding(coding, &codec))
            q[codec] = weight;
    }
}

sx_status sx_codec_negotiate(sx_str accept, const sx_codec *offered, size_t count, sx_codec *chosen)
{
    int q[SX_CODECS], other;
    if (!accept.data) {
        *chosen = SX_CODEC_IDENTITY;
        return SX_OK;
    }
    read_field(accept, q, &other);
    /* Identity is acceptable unless excluded by name, or by "*;q=0" without its name. Unnamed it
     * counts less than any coding that the client does want. */
    int best = q[SX_CODEC_IDENTITY];
    bool named = best != SX_Q_ABSENT;
    if (!named)
        best = 0;
    sx_codec pick = SX_CODEC_IDENTITY;
    bool possible = named ? best > 0 : other != 0;
    bool identity_won = named && best > 0;
    for (size_t i = 0; i < count; i++) {
        int weight = q[offered[i]] != SX_Q_ABSENT ? q[offered[i]] : other;
        if (offered[i] == SX_CODEC_IDENTITY || weight <= 0)
            continue;
        if (weight > best || (weight == best && identity_won)) {
            pick = offered[i];
            best = weight;
            possible = true;
            identity_won = false;
        }
    }
    *chosen = pick;
    return possible ? SX_OK : SX_ENOTFOUND;
}
