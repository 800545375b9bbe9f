/* A request's Origin, preflight fields and Accept-Encoding, against a service's policy: whatever they
 * say, the reply's fields are lines that HTTP can carry, an origin is let in only if it is one of those
 * named, and a body that is sent coded decodes to what the handler sent.
 *
 * The input: lines of fields, as a request has them; a name before ':' and the value after it. */
#include <sextant/compress.h>

#include "net/exchange.h"
#include "service/service_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FIELDS_MAX = 32, BODY_BYTES = 3000 };

/* What the last reply was. */
static struct {
    sx_buf body;
    sx_buf fields;
    int status;
} sent;

static sx_status begin(sx_exchange *x, int64_t body_bytes, sx_str body, bool last, bool fixed)
{
    (void)body_bytes, (void)last, (void)fixed;
    sent.status = x->request.status;
    sx_buf_str(&sent.body, body);
    sx_buf_str(&sent.fields, sx_buf_view(&x->reply_fields));
    return SX_OK;
}

static void let_go(sx_exchange *x)
{
    (void)x;
}

static const sx_exchange_ops OPS = {.begin = begin, .free = let_go};
static char large[BODY_BYTES];

static void answer(sx_request *r, void *ctx)
{
    (void)ctx;
    sx_reply(r, 200, SX_STR("text/plain"), sx_str_of(large, sizeof(large)));
}

static sx_service *service_once(void)
{
    static const sx_route ROUTES[] = {{SX_ANY_METHOD, "/", answer}};
    static const sx_service_def DEF = {.name = "fuzz", .routes = ROUTES, .route_count = 1};
    static const char *const FLAGS[] = {"--listen=127.0.0.1:0",
                                        "--loops=1",
                                        "--access_log=off",
                                        "--log.level=off",
                                        "--cors.origins=https://a.example,https://*.b.example",
                                        "--cors.credentials=true"};
    static sx_service *service; /* made once: the fuzzer calls a million times */
    sx_service_options options = {.flags = FLAGS, .flag_count = SX_COUNT_OF(FLAGS)};
    if (service)
        return service;
    for (size_t i = 0; i < sizeof(large); i++)
        large[i] = (char)('a' + i / 5 % 20);
    sx_assert(sx_service_new(&DEF, &options, &service, NULL, NULL) == SX_OK);
    sx_assert(sx_service_start(service, NULL) == SX_OK);
    return service;
}

static size_t read_fields(sx_str text, sx_header fields[FIELDS_MAX])
{
    size_t count = 0;
    sx_str line;
    while (text.len > 0 && count < FIELDS_MAX) {
        sx_str_cut(text, '\n', &line, &text);
        sx_str_cut(line, ':', &fields[count].name, &fields[count].value);
        fields[count].value = sx_str_trim(fields[count].value);
        bool plain = fields[count].name.len > 0;
        for (size_t i = 0; i < line.len; i++) /* the parser lets no other byte through */
            plain &= (unsigned char)line.data[i] >= ' ' && (unsigned char)line.data[i] != 0x7f;
        count += plain;
    }
    return count;
}

static void check_fields(void)
{
    sx_str rest = sx_buf_view(&sent.fields), name, value;
    while (sx_fields_next(&rest, &name, &value)) {
        sx_assert(name.len > 0);
        for (size_t i = 0; i < value.len; i++)
            sx_assert((unsigned char)value.data[i] >= ' ' || value.data[i] == '\t');
        if (!sx_str_ieq(name, SX_STR("access-control-allow-origin")))
            continue;
        sx_assert(sx_str_ieq(value, SX_STR("https://a.example")) ||
                  (sx_str_ieq(sx_str_first(value, 8), SX_STR("https://")) &&
                   sx_str_ieq(sx_str_from(value, value.len - 10), SX_STR(".b.example")) &&
                   sx_str_find_byte(sx_str_from(value, 8), '/') == value.len - 8));
    }
}

static void check_body(void)
{
    sx_codec codec = SX_CODEC_IDENTITY;
    sx_str rest = sx_buf_view(&sent.fields), name, value;
    while (sx_fields_next(&rest, &name, &value))
        if (sx_str_ieq(name, SX_STR("content-encoding")))
            sx_assert(sx_codec_of_coding(value, &codec));
    if (sent.status != 200)
        return;
    sx_buf plain;
    sx_buf_init(&plain, 0);
    sx_assert(sx_decompress(codec, sx_buf_view(&sent.body), 0, &plain, NULL) == SX_OK);
    sx_assert(plain.len == sizeof(large) && memcmp(plain.data, large, sizeof(large)) == 0);
    sx_buf_done(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const sx_peer PEER = {.address = "127.0.0.1", .port = 1};
    sx_service *s = service_once();
    sx_header fields[FIELDS_MAX];
    if (size < 1)
        return 0;
    sx_exchange x;
    sx_exchange_init(&x, &OPS, s->loops[0].servers[0].server, 0);
    sx_exchange_reset(&x);
    x.body_done = true;
    x.request.method = data[0] % 2 ? SX_OPTIONS : SX_GET;
    x.request.method_text = sx_str_z(sx_method_name(x.request.method));
    x.request.target = x.request.path = SX_STR("/");
    x.request.peer = &PEER;
    x.request.version = 11;
    x.request.headers = fields;
    x.request.header_count = read_fields(sx_str_of(data + 1, size - 1), fields);
    sx_buf_clear(&sent.body);
    sx_buf_clear(&sent.fields);
    sx_exchange_start(&x);
    sx_exchange_sent(&x);
    check_fields();
    check_body();
    sx_exchange_drop(&x);
    sx_exchange_fini(&x);
    return 0;
}
