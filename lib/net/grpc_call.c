/* grpc_call.c - messages of a call, whichever side we are (grpc_call.h). */
#include "net/grpc_call.h"

/* One message is there. A unary call's waits for the client's end, so that a second one is seen. */
static sx_status give(sx_grpc_call *c, sx_str message, sx_error *err)
{
    c->message_count++;
    if (!c->unary) {
        if (c->events->message)
            c->events->message(c, c->ctx, message);
        return SX_OK;
    }
    if (c->message_count > 1)
        return sx_fail(err, SX_EPROTOCOL, "a second message in a unary call");
    sx_buf_str(&c->single, message);
    return sx_buf_status(&c->single, "a gRPC message", err);
}

sx_status grpc_call_pump(sx_grpc_call *c, sx_str piece, sx_error *err)
{
    sx_status st = SX_OK;
    if (c->paused || c->pumping) {
        sx_buf_str(&c->held, piece);
        return sx_buf_status(&c->held, "paused gRPC messages", err);
    }
    c->pumping = true;
    while (st == SX_OK && !c->over && !c->paused) {
        sx_str message;
        st = sx_grpc_reader_next(&c->reader, &piece, &message, err);
        if (st == SX_OK)
            st = give(c, message, err);
    }
    if (c->paused && !c->over && piece.len && st == SX_OK) {
        sx_buf_str(&c->held, piece);
        st = sx_buf_status(&c->held, "paused gRPC messages", err);
    }
    c->pumping = false;
    return st == SX_AGAIN ? SX_OK : st;
}

static sx_status write_piece(sx_grpc_call *c, sx_str piece)
{
    return c->request ? sx_reply_write(c->request, piece) : sx_call_write(c->call, piece);
}

static sx_status begin_reply(sx_grpc_call *c)
{
    if (!c->request || c->begun)
        return SX_OK;
    c->begun = true;
    sx_status st =
        sx_reply_header(c->request, SX_STR("grpc-accept-encoding"), SX_STR("gzip, zstd"));
    return st == SX_OK
               ? sx_reply_begin(c->request, 200, SX_STR("application/grpc"), SX_LENGTH_UNKNOWN)
               : st;
}

sx_status sx_grpc_send(sx_grpc_call *c, sx_str message)
{
    if (c->over)
        return SX_ECLOSED;
    if (message.len > UINT32_MAX)
        return SX_ELIMIT;
    sx_status st = begin_reply(c);
    if (st != SX_OK)
        return st;
    sx_buf framed; /* in one piece, so that a failure leaves no half message behind */
    sx_buf_init(&framed, 0);
    sx_grpc_write_message(message, &framed);
    st = framed.failed ? SX_ENOMEM : write_piece(c, sx_buf_view(&framed));
    sx_buf_done(&framed);
    return st;
}

void sx_grpc_pause(sx_grpc_call *c)
{
    if (c->paused || c->over)
        return;
    c->paused = true;
    if (c->request)
        sx_request_pause(c->request);
    else
        sx_call_pause(c->call);
}

static void resume_protocol(sx_grpc_call *c)
{
    if (c->request)
        sx_request_resume(c->request);
    else
        sx_call_resume(c->call);
}

void sx_grpc_resume(sx_grpc_call *c)
{
    sx_error err;
    if (!c->paused || c->over)
        return;
    c->paused = false;
    if (c->pumping) { /* from within `message`: the loop around it goes on */
        resume_protocol(c);
        return;
    }
    sx_request *r = c->request;
    sx_buf piece = c->held;
    sx_buf_init(&c->held, 0);
    if (r)
        sx_request_hold(r);
    sx_status st = grpc_call_pump(c, sx_buf_view(&piece), &err);
    sx_buf_done(&piece);
    if (r && st != SX_OK)
        grpc_server_fail(c, st, &err);
    else if (r && c->remote_ended && !c->over && !c->paused)
        grpc_server_end(c);
    else if (!r && grpc_client_after_pump(c, st, &err))
        return;
    if (!c->over && !c->paused)
        resume_protocol(c);
    if (r)
        sx_request_release(r);
}

void grpc_call_done(sx_grpc_call *c)
{
    sx_grpc_reader_done(&c->reader);
    sx_buf_done(&c->held);
    sx_buf_done(&c->single);
}
