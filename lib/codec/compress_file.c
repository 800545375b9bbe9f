/* compress_file.c - reading a file that may be compressed, told by its content.
 *
 * Input goes through one buffer of fixed size. An uncompressed file is given out of that buffer as it
 * is; any other goes through a decoder into a second one, a chunk at a time. */
#include <sextant/compress.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <sextant/file.h>
#include <sextant/mem.h>

enum { CHUNK_BYTES_DEFAULT = 256 << 10, WINDOW_LOG_FILE = 27 };

struct sx_packed_file {
    sx_reader file;
    sx_codec codec;
    sx_decoder *decoder; /* NULL for IDENTITY */
    char *in;            /* in_cap bytes */
    size_t in_cap;
    sx_str left; /* of `in`, not yet taken */
    sx_buf out;
    size_t chunk_bytes;
    uint64_t taken, size, given, output_bytes_max;
    bool at_end;      /* read(2) has said so */
    bool more_output; /* the decoder stopped for room, not for input */
    sx_status failed;
};

void sx_packed_file_close(sx_packed_file *f)
{
    if (!f)
        return;
    sx_reader_close(&f->file);
    sx_decoder_free(f->decoder);
    sx_buf_done(&f->out);
    sx_free(f->in);
    sx_free(f);
}

/* Fills the input buffer, of which nothing is left. */
static sx_status read_more(sx_packed_file *f, sx_error *err)
{
    size_t got;
    sx_status status = sx_reader_read(&f->file, f->in, f->in_cap, &got, err);
    if (status != SX_OK && status != SX_END)
        return status;
    f->at_end = got < f->in_cap;
    f->left = sx_str_of(f->in, got);
    f->taken += got;
    return SX_OK;
}

static sx_status detect(sx_packed_file *f, unsigned window_log_max, sx_error *err)
{
    sx_status status = read_more(f, err);
    if (status != SX_OK)
        return status;
    f->codec = sx_codec_detect(f->left);
    if (f->codec == SX_CODEC_IDENTITY)
        return SX_OK;
    sx_decoder_options options = {.output_bytes_max = f->output_bytes_max,
                                  .window_log_max = window_log_max};
    f->decoder = sx_decoder_new(f->codec, &options, err);
    return f->decoder ? SX_OK : SX_ENOMEM;
}

/* Reads the size and asks the kernel to read ahead; both are a help, not a need. */
static void look_at(sx_packed_file *f)
{
    struct stat info;
    if (fstat(f->file.fd, &info) != 0 || !S_ISREG(info.st_mode))
        return;
    f->size = (uint64_t)info.st_size;
    (void)posix_fadvise(f->file.fd, 0, 0, POSIX_FADV_SEQUENTIAL);
}

sx_packed_file *sx_packed_file_open(const char *path, const sx_packed_file_options *options,
                                    sx_error *err)
{
    sx_packed_file_options o = options ? *options : (sx_packed_file_options){0};
    sx_packed_file *f = sx_calloc(1, sizeof(*f));
    if (!f) {
        sx_fail_memory(err, "a packed file");
        return NULL;
    }
    if (sx_reader_open(&f->file, path, err) != SX_OK) {
        sx_free(f);
        return NULL;
    }
    f->chunk_bytes = o.chunk_bytes ? o.chunk_bytes : CHUNK_BYTES_DEFAULT;
    f->in_cap = f->chunk_bytes > SX_CODEC_DETECT_BYTES ? f->chunk_bytes : SX_CODEC_DETECT_BYTES;
    f->output_bytes_max = o.output_bytes_max ? o.output_bytes_max : SX_OUTPUT_UNLIMITED;
    sx_buf_init(&f->out, 0);
    look_at(f);
    f->in = sx_alloc(f->in_cap);
    sx_status status = f->in ? SX_OK : sx_fail_memory(err, "a file's buffer");
    if (status == SX_OK)
        status = detect(f, o.window_log_max ? o.window_log_max : WINDOW_LOG_FILE, err);
    if (status != SX_OK) {
        sx_packed_file_close(f);
        return NULL;
    }
    return f;
}

sx_codec sx_packed_file_codec(const sx_packed_file *f)
{
    return f->codec;
}

uint64_t sx_packed_file_taken(const sx_packed_file *f)
{
    return f->taken - f->left.len;
}

uint64_t sx_packed_file_size(const sx_packed_file *f)
{
    return f->size;
}

static sx_status read_plain(sx_packed_file *f, sx_str *chunk, sx_error *err)
{
    if (f->left.len == 0 && !f->at_end) {
        sx_status status = read_more(f, err);
        if (status != SX_OK)
            return status;
    }
    if (f->left.len == 0)
        return SX_END;
    *chunk = sx_str_first(f->left, f->chunk_bytes);
    f->left = sx_str_from(f->left, chunk->len);
    f->given += chunk->len;
    if (f->given > f->output_bytes_max)
        return sx_fail(err, SX_ELIMIT, "%s is larger than the limit of %llu bytes", f->file.path,
                       (unsigned long long)f->output_bytes_max);
    return SX_OK;
}

static sx_status read_packed(sx_packed_file *f, sx_str *chunk, sx_error *err)
{
    sx_status status = SX_OK;
    sx_buf_clear(&f->out);
    while (f->out.len < f->chunk_bytes) {
        if (f->left.len == 0 && !f->more_output && !f->at_end) {
            status = read_more(f, err);
            if (status != SX_OK)
                return status;
        }
        size_t room = f->chunk_bytes - f->out.len;
        bool last = f->at_end && f->left.len == 0 && !f->more_output;
        status = last ? sx_decoder_finish(f->decoder, &f->out, room, err)
                      : sx_decoder_feed(f->decoder, &f->left, &f->out, room, err);
        if (status != SX_OK && status != SX_AGAIN)
            break;
        f->more_output = !last && status == SX_AGAIN;
        if (last && status == SX_OK)
            break;
    }
    if (status != SX_OK && status != SX_AGAIN) {
        sx_error_prefix(err, status, "%s", f->file.path);
        return status;
    }
    *chunk = sx_buf_view(&f->out);
    return f->out.len ? SX_OK : SX_END;
}

sx_status sx_packed_file_read(sx_packed_file *f, sx_str *chunk, sx_error *err)
{
    if (f->failed != SX_OK)
        return sx_fail(err, f->failed, "%s: reading has failed before", f->file.path);
    *chunk = sx_str_of("", 0);
    sx_status status = f->decoder ? read_packed(f, chunk, err) : read_plain(f, chunk, err);
    if (status != SX_OK && status != SX_END)
        f->failed = status;
    return status;
}
