/* compress_brotli.c - brotli (RFC 7932) by libbrotli.
 *
 * libbrotli cannot reset a state, so a reset makes a new one. The decoder's "large window" mode stays
 * off, which bounds its ring buffer to 16 MiB.
 *
 * The encoder, as Debian builds it, calls exit(3) when its allocator returns NULL. A service must not
 * die of that, so ours does not return: it jumps back to before the call, and the encoder's blocks,
 * which are kept in a list for this, are freed behind its back. libbrotli is C and holds nothing but
 * memory, so the jump leaves nothing else undone. */
#include <setjmp.h>

#include <brotli/decode.h>
#include <brotli/encode.h>

#include <sextant/mem.h>

#include "codec/compress_impl.h"

/* 512 KiB: nearly the ratio of a larger one on pages and JSON, at an eighth of the memory. */
enum { WINDOW_LOG_DEFAULT = 19 };

typedef struct brotli_decode_state {
    BrotliDecoderState *brotli;
} brotli_decode_state;

typedef struct encoder_block encoder_block;
struct encoder_block {
    encoder_block *prev, *next;
};

typedef struct brotli_encode_state {
    BrotliEncoderState *brotli; /* NULL after memory ran out, until a reset */
    uint32_t level, window_log;
    encoder_block blocks; /* head of a ring of all that the encoder holds */
    jmp_buf no_memory;    /* set by whoever is about to call the encoder */
} brotli_encode_state;

static sx_status brotli_decode_reset(void *state, sx_error *err)
{
    brotli_decode_state *s = state;
    if (s->brotli)
        BrotliDecoderDestroyInstance(s->brotli);
    s->brotli = BrotliDecoderCreateInstance(codec_hook_alloc, codec_hook_free, NULL);
    return s->brotli ? SX_OK : sx_fail_memory(err, "brotli's state");
}

static void brotli_decode_close(void *state)
{
    brotli_decode_state *s = state;
    if (s->brotli)
        BrotliDecoderDestroyInstance(s->brotli);
    sx_free(s);
}

static sx_status brotli_decode_open(const sx_decoder_options *options, void **state, sx_error *err)
{
    (void)options;
    brotli_decode_state *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "brotli's state");
    sx_status status = brotli_decode_reset(s, err);
    if (status != SX_OK) {
        sx_free(s);
        return status;
    }
    *state = s;
    return SX_OK;
}

/* The codes from ALLOC_CONTEXT_MODES (-21) down to ALLOC_BLOCK_TYPE_TREES (-30) are all "no memory". */
static bool is_memory_error(BrotliDecoderErrorCode code)
{
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
           code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static sx_status brotli_decode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    brotli_decode_state *s = state;
    (void)step;
    BrotliDecoderResult result =
        BrotliDecoderDecompressStream(s->brotli, &c->in_len, &c->in, &c->out_len, &c->out, NULL);
    if (result == BROTLI_DECODER_RESULT_SUCCESS)
        return SX_END;
    if (result != BROTLI_DECODER_RESULT_ERROR)
        return SX_OK;
    BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(s->brotli);
    if (is_memory_error(code))
        return sx_fail_memory(err, "brotli's tables");
    return sx_fail(err, SX_EFORMAT, "%s", BrotliDecoderErrorString(code));
}

static void *encoder_alloc(void *opaque, size_t bytes)
{
    brotli_encode_state *s = opaque;
    encoder_block *block = NULL;
    if (bytes <= SIZE_MAX - sizeof(*block))
        block = sx_alloc(sizeof(*block) + bytes);
    if (!block)
        longjmp(s->no_memory, 1);
    *block = (encoder_block){&s->blocks, s->blocks.next};
    block->next->prev = s->blocks.next = block;
    return block + 1; /* two pointers on, so still aligned to 16 */
}

static void encoder_free(void *opaque, void *ptr)
{
    (void)opaque;
    if (!ptr)
        return;
    encoder_block *block = (encoder_block *)ptr - 1;
    block->prev->next = block->next;
    block->next->prev = block->prev;
    sx_free(block);
}

/* Frees what the encoder holds, whatever state it is in. */
static void drop_encoder(brotli_encode_state *s)
{
    while (s->blocks.next != &s->blocks)
        encoder_free(s, s->blocks.next + 1);
    s->brotli = NULL;
}

static sx_status brotli_encode_reset(void *state, sx_error *err)
{
    brotli_encode_state *s = state;
    drop_encoder(s);
    if (setjmp(s->no_memory)) {
        drop_encoder(s);
        return sx_fail_memory(err, "brotli's state");
    }
    s->brotli = BrotliEncoderCreateInstance(encoder_alloc, encoder_free, s);
    sx_assert(s->brotli); /* it fails only for want of memory, which has jumped */
    BrotliEncoderSetParameter(s->brotli, BROTLI_PARAM_QUALITY, s->level);
    BrotliEncoderSetParameter(s->brotli, BROTLI_PARAM_LGWIN, s->window_log);
    return SX_OK;
}

static void brotli_encode_close(void *state)
{
    drop_encoder(state);
    sx_free(state);
}

static sx_status brotli_encode_open(const sx_encoder_options *options, void **state, sx_error *err)
{
    unsigned bits = options->window_log ? options->window_log : WINDOW_LOG_DEFAULT;
    if (bits < BROTLI_MIN_WINDOW_BITS || bits > BROTLI_MAX_WINDOW_BITS)
        return sx_fail(err, SX_EINVAL, "brotli's window_log is %u; it must be from %d to %d", bits,
                       BROTLI_MIN_WINDOW_BITS, BROTLI_MAX_WINDOW_BITS);
    brotli_encode_state *s = sx_calloc(1, sizeof(*s));
    if (!s)
        return sx_fail_memory(err, "brotli's state");
    s->blocks = (encoder_block){&s->blocks, &s->blocks};
    s->level = (uint32_t)options->level;
    s->window_log = bits;
    sx_status status = brotli_encode_reset(s, err);
    if (status != SX_OK) {
        sx_free(s);
        return status;
    }
    *state = s;
    return SX_OK;
}

static sx_status brotli_encode_run(void *state, codec_cursor *c, codec_step step, sx_error *err)
{
    static const BrotliEncoderOperation OPERATION[] = {[CODEC_RUN] = BROTLI_OPERATION_PROCESS,
                                                       [CODEC_FLUSH] = BROTLI_OPERATION_FLUSH,
                                                       [CODEC_LAST] = BROTLI_OPERATION_FINISH};
    brotli_encode_state *s = state;
    if (setjmp(s->no_memory)) {
        drop_encoder(s);
        return sx_fail_memory(err, "brotli's tables");
    }
    bool taken = BrotliEncoderCompressStream(s->brotli, OPERATION[step], &c->in_len, &c->in,
                                             &c->out_len, &c->out, NULL);
    sx_assert(taken); /* false only for calls out of order: our mistake */
    if (c->in_len || BrotliEncoderHasMoreOutput(s->brotli))
        return SX_AGAIN;
    return step == CODEC_LAST && !BrotliEncoderIsFinished(s->brotli) ? SX_AGAIN : SX_OK;
}

const codec_decode_ops codec_brotli_decode = {brotli_decode_open, brotli_decode_close,
                                              brotli_decode_reset, NULL, brotli_decode_run};
const codec_encode_ops codec_brotli_encode = {brotli_encode_open, brotli_encode_close,
                                              brotli_encode_reset, brotli_encode_run};
