/* URLs, paths, escapes. What is accepted has parts that lie in the text in order and say the same when
 * read again; a cleaned path cannot climb; what is refused is refused with words. */
#include <sextant/http.h>
#include <sextant/url.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool lies_in(sx_str part, sx_str whole)
{
    return !part.data ||
           (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

static void check_url(sx_str text)
{
    sx_url url, again;
    sx_error err = {0};
    if (sx_url_parse(text, &url, &err) != SX_OK) {
        sx_assert(err.message[0] != '\0');
        return;
    }
    sx_assert(lies_in(url.host, text) && lies_in(url.path, text) && lies_in(url.query, text));
    sx_assert(url.host.len > 0);
    for (size_t i = 0; i < url.host.len && url.scheme != SX_URL_UNIX; i++)
        sx_assert(!strchr("/@?#\\ ", url.host.data[i]));

    /* Put together from its parts it must mean the same. */
    static const char *const SCHEMES[] = {"http://", "https://", "unix:"};
    sx_buf printed;
    sx_buf_init(&printed, 0);
    sx_buf_str(&printed, sx_str_z(SCHEMES[url.scheme]));
    if (url.scheme == SX_URL_UNIX) {
        sx_buf_str(&printed, url.host);
        sx_buf_byte(&printed, ':');
    } else {
        sx_buf_str(&printed, url.authority);
    }
    sx_url_target(&url, &printed);
    sx_assert(sx_url_parse(sx_buf_view(&printed), &again, NULL) == SX_OK);
    sx_assert(sx_str_eq(url.host, again.host) && url.port == again.port);
    sx_assert(sx_str_eq(url.query, again.query));
    sx_assert(sx_str_eq(url.path, again.path) || url.path.len == 0);
    sx_buf_done(&printed);
}

static void check_path(sx_str text)
{
    sx_arena arena;
    sx_str clean;
    sx_error err = {0};
    sx_arena_init(&arena, 0, 0);
    if (sx_path_clean(&arena, text, &clean, &err) == SX_OK) {
        sx_assert(clean.len > 0 && clean.data[0] == '/');
        sx_assert(!memchr(clean.data, '\0', clean.len) && !memchr(clean.data, '\\', clean.len));
        sx_str rest = sx_str_from(clean, 1), segment;
        bool more = true;
        while (more) {
            more = sx_str_cut(rest, '/', &segment, &rest);
            sx_assert(!sx_str_eq(segment, SX_STR("..")) && !sx_str_eq(segment, SX_STR(".")));
            sx_assert(segment.len > 0 || !more);
        }
    } else {
        sx_assert(err.message[0] != '\0');
    }
    sx_arena_done(&arena);
}

static void check_percent(sx_str text)
{
    sx_arena arena;
    sx_buf coded;
    sx_str back, name, value, rest = text;
    sx_arena_init(&arena, 0, 0);
    sx_buf_init(&coded, 0);
    sx_url_encode(text, &coded);
    sx_assert(sx_percent_decode(&arena, sx_buf_view(&coded), SX_PERCENT_FORM, &back, NULL) ==
              SX_OK);
    sx_assert(sx_str_eq(back, text));
    if (sx_percent_decode(&arena, text, SX_PERCENT_PATH, &back, NULL) == SX_OK)
        sx_assert(back.len <= text.len);
    while (sx_query_next(&rest, &name, &value))
        sx_assert(lies_in(name, text) && lies_in(value, text));
    sx_buf_done(&coded);
    sx_arena_done(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_str text = sx_str_of(data, size);
    check_url(text);
    check_path(text);
    check_percent(text);
    return 0;
}
