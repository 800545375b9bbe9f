/* fuzz_xml.c - the pull reader of XML: the same tags, or the same refusal, however the input is cut. */
#include <string.h>

#include <sextant/hash.h>

#include "codec/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct pieces {
    sx_str rest;
    size_t step;
} pieces;

static sx_status next_piece(void *ctx, sx_str *chunk, sx_error *err)
{
    pieces *p = ctx;
    (void)err;
    if (!p->rest.len)
        return SX_END;
    *chunk = sx_str_first(p->rest, p->step);
    p->rest = sx_str_from(p->rest, p->step);
    return SX_OK;
}

static uint64_t read_all(sx_str text, size_t step, sx_error *err)
{
    pieces p = {text, step};
    codec_xml x;
    uint64_t h = 0;
    size_t depth = 0;
    codec_xml_init(&x, &(codec_xml_options){.more = next_piece, .ctx = &p, .depth_max = 10});
    while ((err->status = codec_xml_next(&x, err)) == SX_OK) {
        depth += x.event == CODEC_XML_START ? 1 : (size_t)-1;
        sx_assert(depth <= 10 && x.name.len > 0);
        h = sx_hash(x.name, h + (uint64_t)x.event);
        for (size_t i = 0; x.event == CODEC_XML_START && i < x.attribute_count; i++)
            h = sx_hash(x.attributes[i].value, sx_hash(x.attributes[i].name, h));
    }
    sx_assert(err->status != SX_END || depth == 0);
    sx_assert(err->status == SX_END || err->message[0]);
    codec_xml_done(&x);
    return h;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sx_error whole = {0}, cut = {0};
    size_t step = size ? 1 + data[0] % 13 : 1;
    uint64_t hash = read_all(sx_str_of(data, size), SIZE_MAX, &whole);
    sx_assert(read_all(sx_str_of(data, size), step, &cut) == hash);
    sx_assert(cut.status == whole.status && strcmp(cut.message, whole.message) == 0);
    return 0;
}
