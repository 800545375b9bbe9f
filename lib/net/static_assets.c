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

/* The form that suits the request. */
typedef struct asset_form {
    const char *coding,
        *mark; /* the mark sets its tag apart: another representation, another tag */
    const char *bytes;
    size_t len;
} asset_form;

static asset_form form_of(const sx_asset *asset, sx_str brotli, sx_request *r)
{
    asset_form forms[SX_CODECS] = {{0}};
    sx_codec offered[2], chosen = SX_CODEC_IDENTITY;
    size_t count = 0;
    forms[SX_CODEC_IDENTITY] = (asset_form){"", "", asset->bytes, asset->len};
    forms[SX_CODEC_GZIP] = (asset_form){"gzip", "-gz", asset->gzip, asset->gzip_len};
    forms[SX_CODEC_BROTLI] = (asset_form){"br", "-br", brotli.data, brotli.len};
    if (brotli.len)
        offered[count++] = SX_CODEC_BROTLI;
    if (asset->gzip)
        offered[count++] = SX_CODEC_GZIP;
    /* A range is of the plain bytes: nobody wants the middle of a compressed file. Who refuses
     * everything gets the plain bytes, too. */
    if (!count || sx_request_header(r, SX_STR("range")).data ||
        sx_codec_negotiate(sx_request_header(r, SX_STR("accept-encoding")), offered, count,
                           &chosen) != SX_OK)
        chosen = SX_CODEC_IDENTITY;
    return forms[chosen];
}

bool sx_assets_serve(const sx_assets *assets, sx_request *r, sx_str path)
{
    return sx_assets_serve_brotli(assets, NULL, r, path);
}

bool sx_assets_serve_brotli(const sx_assets *assets, const sx_str *brotli, sx_request *r,
                            sx_str path)
{
    const sx_asset *asset = resolve(assets, r, path);
    if (!asset)
        return false;
    if (!static_method_ok(r))
        return true;
    sx_str squeezed = brotli ? brotli[asset - assets->items] : SX_STR("");
    asset_form form = form_of(asset, squeezed, r);
    sx_str etag = sx_str_z(asset->etag);
    if (form.mark[0] && etag.len > 2)
        etag = sx_arena_printf(&r->arena, "%.*s%s\"", (int)etag.len - 1, etag.data, form.mark);
    static_content content = {
        .etag = etag,
        .bytes = form.len,
        .type = asset->type ? sx_str_z(asset->type) : sx_content_type_of(sx_str_z(asset->path)),
        .coding = sx_str_z(form.coding),
        .varies = asset->gzip || squeezed.len,
        .cache_control = sx_str_z(assets->cache_control ? assets->cache_control : "no-cache")};
    static_plan plan = static_plan_of(r, &content);
    static_reply_fields(r, &content, &plan);
    sx_reply_static(r, plan.status, plan.status < 300 ? content.type : SX_STR(""),
                    sx_str_of(form.bytes + plan.first, plan.count));
    return true;
}
