/* version.c - what this binary is made of, for bug reports. */
#include <ares.h>
#include <brotli/decode.h>
#include <bzlib.h>
#include <nghttp2/nghttp2.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <uv.h>
#include <xxhash.h>
#include <yaml.h>
#include <zlib.h>
#include <zstd.h>

#include "base/build.h"
#include "build_commit.h"
#include "cmd/command.h"

static void print_packed(const char *name, uint32_t v)
{
    printf("  %-9s %u.%u.%u\n", name, v >> 24, v >> 12 & 0xfff, v & 0xfff);
}

int cmd_version(const cmd_args *args)
{
    (void)args;
    unsigned xxh = XXH_versionNumber();
    printf("sextant %s (commit %s)\n"
           "compiler: " SX_COMPILER "\n"
           "libraries:\n"
           "  libuv     %s\n"
           "  c-ares    %s\n"
           "  nghttp2   %s\n"
           "  OpenSSL   %s\n"
           "  zlib      %s\n"
           "  zstd      %s\n",
           SX_VERSION, SX_COMMIT, uv_version_string(), ares_version(NULL),
           nghttp2_version(0)->version_str, OpenSSL_version(OPENSSL_VERSION_STRING), zlibVersion(),
           ZSTD_versionString());
    print_packed("brotli", BrotliDecoderVersion());
    printf("  bzip2     %s\n"
           "  libyaml   %s\n"
           "  xxHash    %u.%u.%u\n",
           BZ2_bzlibVersion(), yaml_get_version_string(), xxh / 10000, xxh / 100 % 100, xxh % 100);
    return 0;
}
