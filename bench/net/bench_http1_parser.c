/* bench_http1_parser.c - nanoseconds for one request head: a browser's, wrk's, a small API call's.
 *
 * Under callgrind give a small number of rounds as argument and divide. */
#include <stdio.h>

#include <sextant/clock.h>

#include "net/http1_parser.h"

static const struct {
    const char *name;
    const char *text;
} HEADS[] = {
    {"http1_parse_browser",
     "GET /search/?q=34+avenue+de+l+opera&autocomplete=1&limit=5 HTTP/1.1\r\n"
     "Host: localhost:7878\r\n"
     "Connection: keep-alive\r\n"
     "sec-ch-ua: \"Chromium\";v=\"124\", \"Not-A.Brand\";v=\"99\"\r\n"
     "sec-ch-ua-mobile: ?0\r\n"
     "sec-ch-ua-platform: \"Linux\"\r\n"
     "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
     "Chrome/124.0.0.0 Safari/537.36\r\n"
     "Accept: application/json, text/plain, */*\r\n"
     "Sec-Fetch-Site: same-origin\r\n"
     "Sec-Fetch-Mode: cors\r\n"
     "Sec-Fetch-Dest: empty\r\n"
     "Referer: http://localhost:7878/\r\n"
     "Accept-Encoding: gzip, deflate, br, zstd\r\n"
     "Accept-Language: fr-FR,fr;q=0.9,en-US;q=0.8,en;q=0.7\r\n"
     "\r\n"},
    {"http1_parse_wrk", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n"},
    {"http1_parse_api", "POST /api/v1/push HTTP/1.1\r\nHost: example.test\r\nUser-Agent: Go-http-"
                        "client/1.1\r\nContent-Length: 218\r\nContent-Type: application/x-protobuf"
                        "\r\nAccept-Encoding: gzip\r\n\r\n"},
};

int main(int argc, char **argv)
{
    uint64_t rounds = 2000000;
    if (argc > 1 && !sx_str_to_u64(sx_str_z(argv[1]), &rounds))
        return 2;
    const sx_http_limits limits = {
        .header_bytes_max = 32768, .header_count_max = 128, .target_bytes_max = 16384};
    static sx_header headers[128];
    static char text[4096];
    for (size_t i = 0; i < SX_COUNT_OF(HEADS); i++) {
        size_t len = strlen(HEADS[i].text);
        memcpy(text, HEADS[i].text, len);
        int64_t start_ns = sx_clock_mono_ns(sx_clock_system());
        for (uint64_t round = 0; round < rounds; round++) {
            http1_progress progress = {0};
            http1_head head;
            sx_status rc = http1_head_parse(text, len, &limits, &progress, headers, &head);
            sx_assert(rc == SX_OK && head.bytes == len);
        }
        int64_t took_ns = sx_clock_mono_ns(sx_clock_system()) - start_ns;
        printf("%s %.1f ns\n", HEADS[i].name, (double)took_ns / (double)rounds);
    }
    return 0;
}
