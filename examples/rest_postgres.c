/* rest_postgres.c - items in PostgreSQL by REST: the program of docs/kit.md.
 *
 *     CREATE TABLE item (id bigserial PRIMARY KEY, name text NOT NULL UNIQUE, price numeric NOT NULL);
 *
 *     rest_postgres --database=postgresql://localhost/shop
 *     curl -d '{"name": "tea", "price": 4.50}' localhost:8080/items
 *
 * Each loop has a pool of connections and asks it without waiting. A request's span has the query's as
 * its child, /health/ready knows of the database, and a breaker stands before it, by themselves. */
#include <sextant/sextant.h>

typedef struct shop {
    sx_str database;
} shop;

static const sx_key KEYS[] = {
    {"database", SX_TEXT, SX_AT(shop, database), .flags = SX_KEY_SECRET | SX_KEY_RESTART,
     .help = "postgresql://user@host/name, or libpq's key=value words"},
};

/* What the routes run. Each gives one JSON text for each row, or none: no such item. */
static sx_str LIST = SX_STR_INIT("SELECT coalesce(json_agg(i), '[]') FROM"
                                 " (SELECT * FROM item ORDER BY id LIMIT 100) i");
static sx_str READ = SX_STR_INIT("SELECT to_json(i) FROM item i WHERE id = $1");
static sx_str REMOVE = SX_STR_INIT("DELETE FROM item i WHERE id = $1 RETURNING to_json(i)");
static sx_str ADD = SX_STR_INIT("INSERT INTO item AS i (name, price) VALUES ($1, $2)"
                                " RETURNING to_json(i)");
static sx_str CHANGE = SX_STR_INIT("UPDATE item i SET name = $1, price = $2 WHERE id = $3"
                                   " RETURNING to_json(i)");

/* The database has answered. What its client did wrong is told, what is wrong with us is logged. */
static void on_rows(void *ctx, sx_status status, const sx_pg_result *rows, const sx_error *err)
{
    sx_request *r = ctx;
    if (status == SX_OK && rows->row_count == 0)
        sx_reply_error(r, 404, "no such item");
    else if (status == SX_OK)
        sx_reply(r, r->method == SX_POST ? 201 : 200, SX_STR("application/json"),
                 sx_pg_value(rows, 0, 0));
    else if (status == SX_EINVAL || status == SX_EEXIST)
        sx_reply_error(r, status == SX_EINVAL ? 400 : 409, err->message);
    else {
        SX_LOG_ERROR(sx_service_logger(sx_request_service(r)), NULL, "query", sx_field_error(err));
        sx_reply_error(r, 503, NULL);
    }
    sx_request_release(r);
}

static void run(sx_request *r, sx_str sql, const sx_str *params, size_t count)
{
    sx_error err;
    sx_pg_statement what = {.sql = sql, .params = params, .param_count = count};
    sx_request_hold(r); /* its client may go before the answer comes */
    sx_status status = sx_pg_query(sx_request_loop_context(r), &what, on_rows, r, NULL, &err);
    if (status != SX_OK) /* no connection, or the breaker is open */
        on_rows(r, status, NULL, &err);
}

static void by_path(sx_request *r, void *sql)
{
    sx_str id = sx_request_param(r, "id"); /* "seven" is for the database to refuse */
    run(r, *(sx_str *)sql, &id, id.data ? 1 : 0);
}

/* What the body leaves out is NULL: the table says whether that may be. */
static void by_body(sx_request *r, void *sql)
{
    sx_json in;
    sx_error err;
    sx_str key, params[] = {{0}, {0}, sx_request_param(r, "id")};
    sx_json_init(&in, r->body, &(sx_json_options){.arena = &r->arena});
    sx_json_enter_object(&in);
    while (sx_json_next_key(&in, &key)) {
        if (sx_str_eq(key, SX_STR("name")))
            sx_json_read_str(&in, &params[0]);
        else if (sx_str_eq(key, SX_STR("price")))
            sx_json_read_number(&in, &params[1]);
    }
    SX_SPAN_SET(sx_request_span(r), sx_field_str("item.name", params[0]));
    if (sx_json_finish(&in, &err) == SX_OK)
        run(r, *(sx_str *)sql, params, params[2].data ? 3 : 2);
    else
        sx_reply_error(r, 400, err.message); /* "line 1, column 9 (byte 8): …" */
}

static sx_status open_pool(sx_service *s, sx_loop *loop, void *ctx, void **pool, sx_error *err)
{
    const shop *settings = ctx;
    sx_pg_options options = {.conninfo = settings->database.data};
    sx_pg *pg = NULL;
    sx_status status = sx_pg_new(loop, sx_service_kit(s), &options, &pg, err);
    *pool = pg;
    return status;
}

static void close_pool(sx_service *s, sx_loop *loop, void *ctx, void *pool)
{
    (void)s, (void)loop, (void)ctx;
    sx_pg_free(pool);
}

int main(int argc, char **argv)
{
    static shop settings; /* filled before open_pool is called */
    static const sx_route ROUTES[] = {
        {SX_GET, "/items", by_path, &LIST},          {SX_POST, "/items", by_body, &ADD},
        {SX_GET, "/items/:id", by_path, &READ},      {SX_PUT, "/items/:id", by_body, &CHANGE},
        {SX_DELETE, "/items/:id", by_path, &REMOVE},
    };
    return sx_service_main(argc, argv,
                           &(sx_service_def){.name = "shop",
                                             .routes = ROUTES,
                                             .route_count = SX_COUNT_OF(ROUTES),
                                             .keys = KEYS,
                                             .key_count = SX_COUNT_OF(KEYS),
                                             .config = &settings,
                                             .config_bytes = sizeof(settings),
                                             .ctx = &settings,
                                             .loop_setup = open_pool,
                                             .loop_teardown = close_pool});
}
