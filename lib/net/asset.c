/* asset.c - answering with what the binary carries. */
#include <sextant/asset.h>

#include <sextant/compress.h>

/* Whether an If-None-Match field names the tag, by weak comparison (RFC 9110, section 13.1.2). */
static bool names_tag(sx_str field, sx_str etag)
{
    while (field.len) {
        sx_str one;
        sx_str_cut(field, ',', &one, &field);
        one = sx_str_trim(one);
        if (sx_str_starts(one, SX_STR("W/")))
            one = sx_str_from(one, 2);
        if (sx_str_eq(one, etag) || sx_str_eq(one, SX_STR("*")))
            return true;
    }
    return false;
}

void sx_asset_reply(sx_request *r, const sx_asset *asset)
{
    static const sx_codec OFFERED[] = {SX_CODEC_GZIP};
    sx_codec chosen = SX_CODEC_IDENTITY;
    sx_codec_negotiate(sx_request_header(r, SX_STR("accept-encoding")), OFFERED, 1, &chosen);
    sx_reply_header(r, SX_STR("ETag"), asset->etag);
    sx_reply_header(r, SX_STR("Vary"), SX_STR("Accept, Accept-Encoding"));
    sx_reply_header(r, SX_STR("Cache-Control"), SX_STR("no-cache"));
    if (names_tag(sx_request_header(r, SX_STR("if-none-match")), asset->etag)) {
        sx_reply(r, 304, SX_STR(""), SX_STR(""));
    } else if (chosen == SX_CODEC_GZIP && asset->gzip.len < asset->plain.len) {
        sx_reply_header(r, SX_STR("Content-Encoding"), SX_STR("gzip"));
        sx_reply_static(r, 200, asset->type, asset->gzip);
    } else {
        sx_reply_static(r, 200, asset->type, asset->plain);
    }
}

const sx_asset *sx_asset_find(const sx_asset *table, sx_str path)
{
    for (; table->path.len; table++) {
        if (sx_str_eq(table->path, path))
            return table;
    }
    return NULL;
}
