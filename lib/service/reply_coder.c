/* reply_coder.c - what happens to every reply before it begins: the policy's header fields, and a
 * body that is sent compressed if the client can read it and it is worth it.
 *
 * A whole reply is compressed in one go into the loop's buffer, a streamed one piece by piece, each
 * flushed so that the reader at the other end is never behind. Encoders are kept for each loop: the
 * steady state makes none. What is compressed loses its strong ETag (RFC 9110, section 8.8.3: other
 * bytes, so another strong validator) and says Vary: Accept-Encoding, as does what could have been. */
#include <sextant/mem.h>

#include "net/exchange.h"
#include "service/service_internal.h"

/* ---- encoders ---- */

void sx_encoder_pool_init(sx_encoder_pool *pool)
{
    *pool = (sx_encoder_pool){0};
    sx_buf_init(&pool->text, 0);
}

void sx_encoder_pool_done(sx_encoder_pool *pool)
{
    for (int codec = 0; codec < SX_CODECS; codec++)
        for (size_t i = 0; i < pool->of[codec].count; i++)
            sx_encoder_free(pool->of[codec].idle[i]);
    sx_buf_done(&pool->text);
}

/* One that is idle and has that level, else a new one; NULL without memory. */
static sx_encoder *take_encoder(sx_encoder_pool *pool, sx_codec codec, int level)
{
    while (pool->of[codec].count > 0) {
        size_t last = --pool->of[codec].count;
        if (pool->of[codec].levels[last] == level)
            return pool->of[codec].idle[last];
        sx_encoder_free(pool->of[codec].idle[last]); /* of settings before a reload */
    }
    /* A reply is rarely larger than this window; the default of zstd would take megabytes each. */
    unsigned window_log = codec == SX_CODEC_ZSTD || codec == SX_CODEC_BROTLI ? 18 : 0;
    return sx_encoder_new(codec, &(sx_encoder_options){.level = level, .window_log = window_log},
                          NULL);
}

static void give_encoder(sx_encoder_pool *pool, sx_codec codec, int level, sx_encoder *e)
{
    size_t count = pool->of[codec].count;
    if (count == SX_ENCODERS_KEPT || sx_encoder_reset(e, NULL)) {
        sx_encoder_free(e);
        return;
    }
    pool->of[codec].idle[count] = e;
    pool->of[codec].levels[count] = level;
    pool->of[codec].count = count + 1;
}

static int level_of(const sx_policy *p, sx_codec codec)
{
    return codec == SX_CODEC_ZSTD     ? p->set.zstd_level
           : codec == SX_CODEC_BROTLI ? p->set.brotli_level
                                      : p->set.gzip_level;
}

void sx_reply_coder_release(sx_request *r)
{
    sx_request_state *state = sx_request_state_of(r);
    if (!state->encoder)
        return;
    give_encoder(&state->at->on->encoders, state->codec, level_of(state->policy, state->codec),
                 state->encoder);
    state->encoder = NULL;
}

/* ---- header fields ---- */

void sx_reply_own_field(sx_request *r, sx_str name, sx_str value)
{
    sx_buf *fields = &sx_exchange_of(r)->reply_fields;
    size_t len = name.len + value.len + 4;
    char *to = sx_buf_reserve(fields, len);
    if (sx_unlikely(!to)) {
        fields->failed = false; /* what is there stays good */
        return;
    }
    memcpy(to, name.data, name.len);
    memcpy(to + name.len, ": ", 2);
    memcpy(to + name.len + 2, value.data, value.len);
    memcpy(to + name.len + 2 + value.len, "\r\n", 2);
    fields->len += len;
}

/* The value of a field that the reply has so far; data NULL if it has none. */
static sx_str reply_field(const sx_exchange *x, sx_str name)
{
    sx_str rest = sx_buf_view(&x->reply_fields), key, value;
    while (sx_fields_next(&rest, &key, &value))
        if (key.len == name.len && sx_str_ieq(key, name))
            return value;
    return sx_str_of(NULL, 0);
}

/* HOT for the usual reply: its handler adds no field, so the policy's are one copy. */
static void add_policy_fields(sx_request *r, const sx_request_state *state)
{
    const sx_policy *p = state->policy;
    sx_exchange *x = sx_exchange_of(r);
    if (p->field_count == 0)
        return;
    bool tls = r->peer && r->peer->tls;
    if (sx_likely(x->reply_fields.len == state->fields_own)) {
        sx_str block = p->block[tls];
        char *to = sx_buf_reserve(&x->reply_fields, block.len);
        if (!to) {
            x->reply_fields.failed = false; /* without memory: without them, as sx_reply_header */
            return;
        }
        memcpy(to, block.data, block.len);
        x->reply_fields.len += block.len;
        return;
    }
    for (size_t i = 0; i < p->field_count; i++)
        if ((tls || !p->fields[i].tls_only) && !reply_field(x, p->fields[i].name).data)
            (void)sx_reply_header(r, p->fields[i].name, p->fields[i].value);
}

/* "abc" becomes W/"abc", in place. */
static void weaken_etag(sx_exchange *x)
{
    sx_buf *fields = &x->reply_fields;
    sx_str etag = reply_field(x, SX_STR("etag"));
    if (!sx_str_starts(etag, SX_STR("\"")))
        return;
    size_t at = (size_t)(etag.data - fields->data);
    if (!sx_buf_reserve(fields, 2)) {
        fields->failed = false;
        return;
    }
    memmove(fields->data + at + 2, fields->data + at, fields->len - at);
    memcpy(fields->data + at, "W/", 2);
    fields->len += 2;
}

/* Whether a list such as Vary or Cache-Control has `member`. */
static bool list_has(sx_str list, sx_str member)
{
    sx_str item;
    while (list.len > 0) {
        sx_str_cut(list, ',', &item, &list);
        if (sx_str_ieq(sx_str_trim(item), member))
            return true;
    }
    return false;
}

static void vary_by_encoding(sx_request *r)
{
    sx_str vary = reply_field(sx_exchange_of(r), SX_STR("vary"));
    if (!list_has(vary, SX_STR("accept-encoding")) && !list_has(vary, SX_STR("*")))
        (void)sx_reply_header(r, SX_STR("vary"), SX_STR("Accept-Encoding"));
}

/* ---- what is worth it ---- */

bool sx_type_compresses(sx_str content_type)
{
    static const sx_str EXACT[] = {
        SX_STR_INIT("application/json"),
        SX_STR_INIT("application/javascript"),
        SX_STR_INIT("application/xml"),
        SX_STR_INIT("application/x-ndjson"),
        SX_STR_INIT("application/yaml"),
        SX_STR_INIT("application/wasm"),
        SX_STR_INIT("application/openmetrics-text"),
        SX_STR_INIT("application/vnd.google.protobuf"),
        SX_STR_INIT("application/x-www-form-urlencoded"),
        SX_STR_INIT("font/ttf"),
        SX_STR_INIT("font/otf"),
        SX_STR_INIT("image/bmp"),
        SX_STR_INIT("image/x-icon"),
    };
    static const sx_str ENDS[] = {SX_STR_INIT("+json"), SX_STR_INIT("+xml")};
    sx_str type, parameters;
    sx_str_cut(content_type, ';', &type, &parameters);
    type = sx_str_trim(type);
    if (type.len > 5 && sx_str_ieq(sx_str_first(type, 5), SX_STR("text/")))
        return true;
    for (size_t i = 0; i < SX_COUNT_OF(ENDS); i++)
        if (type.len > ENDS[i].len &&
            sx_str_ieq(sx_str_from(type, type.len - ENDS[i].len), ENDS[i]))
            return true;
    for (size_t i = 0; i < SX_COUNT_OF(EXACT); i++)
        if (sx_str_ieq(type, EXACT[i]))
            return true;
    return false;
}

static bool may_compress(const sx_request_state *state, int status, sx_str type, int64_t body_bytes)
{
    const sx_policy *p = state->policy;
    const sx_endpoint_state *e = state->at->endpoint;
    bool plain = state->route < e->route_count && e->routes[state->route].flags & SX_ROUTE_PLAIN;
    if (!p->set.compress || plain || type.len == 0)
        return false;
    if (body_bytes >= 0 && body_bytes < (int64_t)p->set.compress_bytes_min)
        return false;
    /* 205 and 304 have no body; of 206 the parts are of the uncompressed one. */
    if (status < 200 || status == 204 || status == 205 || status == 206 || status == 304)
        return false;
    return sx_type_compresses(type);
}

/* The codec for a reply that may be compressed; IDENTITY for none. */
static sx_codec choose(sx_request *r, const sx_request_state *state)
{
    static const sx_codec OFFERED[] = {SX_CODEC_ZSTD, SX_CODEC_BROTLI, SX_CODEC_GZIP};
    const sx_exchange *x = sx_exchange_of(r);
    sx_codec codec = SX_CODEC_IDENTITY;
    if (reply_field(x, SX_STR("content-encoding")).data ||
        list_has(reply_field(x, SX_STR("cache-control")), SX_STR("no-transform")))
        return codec;
    vary_by_encoding(r);
    /* A client that refuses everything gets it as it is: RFC 9110, section 12.5.3. */
    if (sx_codec_negotiate(sx_headers_get(&state->seen, SX_SEEN_ACCEPT_ENCODING), OFFERED,
                           SX_COUNT_OF(OFFERED), &codec))
        return SX_CODEC_IDENTITY;
    return codec;
}

/* ---- the coder ---- */

static bool compress_whole(sx_encoder_pool *pool, sx_encoder *e, sx_str *body)
{
    enum { KEPT_BYTES = 1 << 20 };
    if (pool->text.cap > KEPT_BYTES) /* of one large reply; not kept for ever */
        sx_buf_done(&pool->text);
    sx_buf_clear(&pool->text);
    if (sx_encoder_feed(e, *body, &pool->text, NULL) || sx_encoder_finish(e, &pool->text, NULL) ||
        pool->text.len >= body->len)
        return false;
    *body = sx_buf_view(&pool->text);
    return true;
}

static bool say_coded(sx_request *r, sx_str coding)
{
    (void)sx_reply_header(r, SX_STR("content-encoding"), coding);
    weaken_etag(sx_exchange_of(r));
    return true;
}

void sx_reply_coded(sx_request *r, int status, sx_str content_type, sx_str body,
                    const sx_coded_store *store)
{
    sx_request_state *state = sx_request_state_of(r);
    sx_request_hold(r);
    if (state)
        state->coded = store;
    sx_reply(r, status, content_type, body);
    if (state)
        state->coded = NULL; /* the caller's, who goes on */
    sx_request_release(r);
}

static bool begin(sx_request *r, void *ctx, int status, sx_str type, int64_t body_bytes,
                  sx_str *body)
{
    (void)ctx;
    sx_request_state *state = sx_request_state_of(r);
    if (sx_unlikely(!state))
        return false;
    add_policy_fields(r, state);
    if (sx_likely(!may_compress(state, status, type, body_bytes)))
        return false;
    sx_codec codec = choose(r, state);
    if (codec == SX_CODEC_IDENTITY)
        return false;
    sx_str coding = sx_codec_coding(codec);
    const sx_coded_store *store = body->data ? state->coded : NULL;
    if (store && store->find(store->ctx, coding, body))
        return say_coded(r, coding);
    sx_encoder_pool *pool = &state->at->on->encoders;
    int level = level_of(state->policy, codec);
    sx_encoder *e = take_encoder(pool, codec, level);
    if (!e)
        return false; /* no memory to save bytes with */
    if (!body->data) {
        state->encoder = e;
        state->codec = codec;
    } else {
        bool smaller = compress_whole(pool, e, body);
        give_encoder(pool, codec, level, e);
        if (!smaller)
            return false;
        if (store)
            store->keep(store->ctx, coding, *body);
    }
    return say_coded(r, coding);
}

static sx_status piece(sx_request *r, void *ctx, sx_str in, bool last, sx_str *out)
{
    (void)ctx;
    sx_request_state *state = sx_request_state_of(r);
    sx_buf *text = &state->at->on->encoders.text;
    sx_buf_clear(text);
    sx_status status = SX_OK;
    if (in.len > 0)
        status = sx_encoder_feed(state->encoder, in, text, NULL);
    if (status == SX_OK)
        status = last ? sx_encoder_finish(state->encoder, text, NULL)
                      : sx_encoder_flush(state->encoder, text, NULL);
    *out = sx_buf_view(text);
    return status;
}

const sx_reply_coder SX_REPLY_CODER = {.begin = begin, .piece = piece};
