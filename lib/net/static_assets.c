/* static_assets.c - assets that are part of the binary (static.h): a binary search and a reply that
 * copies nothing. */
#include <sextant/static.h>

#include <sextant/compress.h>
#include <sextant/url.h>

#include "net/static_rules.h"

static const sx_asset *find(const sx_assets *assets, sx_str path)
{
    size_t low = 0, high = assets->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        int order = sx_str_cmp(path, sx_str_z(assets->items[middle].path));
        if (order == 0)
            return &assets->items[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* The asset of a cleaned path, or of its index.html. */
static const sx_asset *resolve(const sx_assets *assets, sx_request *r, sx_str path)
{
    sx_str clean;
    if (sx_path_clean(&r->arena, path, &clean, NULL) != SX_OK)
        return NULL;
    if (!sx_str_ends(clean, SX_STR("/")))
        return find(assets, clean);
    sx_str index = sx_arena_printf(&r->arena, "%.*sindex.html", SX_ARG(clean));
    return index.data ? find(assets, index) : NULL;
}

bool sx_assets_serve(const sx_assets *assets, sx_request *r, sx_str path)
{
    static const sx_codec GZIP = SX_CODEC_GZIP;
    sx_codec chosen = SX_CODEC_IDENTITY;
    const sx_asset *asset = resolve(assets, r, path);
    if (!asset)
        return false;
    if (!static_method_ok(r))
        return true;
    /* A range is of the plain bytes: nobody wants the middle of a gzip file. */
    bool has_range = sx_request_header(r, SX_STR("range")).data;
    if (asset->gzip && !has_range)
        sx_codec_negotiate(sx_request_header(r, SX_STR("accept-encoding")), &GZIP, 1, &chosen);
    bool zipped = chosen == SX_CODEC_GZIP;
    sx_str etag = sx_str_z(asset->etag);
    if (zipped && etag.len > 2) /* another representation has another tag */
        etag = sx_arena_printf(&r->arena, "%.*s-gz\"", (int)etag.len - 1, etag.data);
    static_content content = {
        .etag = etag,
        .bytes = zipped ? asset->gzip_len : asset->len,
        .type = asset->type ? sx_str_z(asset->type) : sx_content_type_of(sx_str_z(asset->path)),
        .coding = zipped ? SX_STR("gzip") : SX_STR(""),
        .varies = asset->gzip,
        .cache_control = sx_str_z(assets->cache_control ? assets->cache_control : "no-cache")};
    static_plan plan = static_plan_of(r, &content);
    static_reply_fields(r, &content, &plan);
    const char *bytes = zipped ? asset->gzip : asset->bytes;
    sx_reply_static(r, plan.status, plan.status < 300 ? content.type : SX_STR(""),
                    sx_str_of(bytes + plan.first, plan.count));
    return true;
}
