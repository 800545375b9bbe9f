/* commands.c - the table of subcommands. A new command is a row here and a file beside it. */
#include "cmd/command.h"

static const cmd_flag NO_FLAGS[] = {{0}};

static const cmd_flag UP_FLAGS[] = {
    {"dir", 'd', CMD_TEXT, "DIR", "~/.local/share/sextant",
     "where indexes, logs and state are kept"},
    {"data", 0, CMD_TEXT, "DIR", NULL,
     "folder with the address files to import; the default is the data that ships with sextant"},
    {"listen", 'l', CMD_TEXT, "ADDR", "127.0.0.1:7878", "address of the geocoder"},
    {"metrics", 'm', CMD_TEXT, "ADDR", "127.0.0.1:9090",
     "address of the metrics server, which scrapes the geocoder and itself; empty: none"},
    {"traces", 't', CMD_TEXT, "ADDR", "127.0.0.1:4318",
     "address where the metrics server takes spans (OTLP over HTTP), those of both among them; another "
     "port where this one is taken; empty: no traces"},
    {"admin", 0, CMD_TEXT, "ADDR", "127.0.0.1:0",
     "address of its admin pages (breakers, limits, log levels, profiles); port 0 is any free one"},
    {"visitor", 0, CMD_SWITCH, NULL, "yes",
     "have a visitor ask the geocoder a few questions every five seconds, so that there is something "
     "to see from the beginning; --no-visitor leaves it to its users"},
    {"redis", 0, CMD_TEXT, "[NAME=]ADDR,...", "",
     "Redis servers to watch, without passwords; see docs/howto/collectors.md"},
    {"postgres", 0, CMD_TEXT, "NAME=CONNINFO,...", "", "PostgreSQL servers to watch, the same"},
    {0},
};

static const cmd_flag IMPORT_FLAGS[] = {
    {"output", 'o', CMD_TEXT, "INDEX", NULL, "the index file to write; replaced only once whole"},
    {"source", 's', CMD_EACH, "KEY=VALUE,...", NULL,
     "what answers say of the files behind it, until the next --source: name, attribution, licence; "
     "language=fr, es, de or none; communes=no leaves out those that a BAN CSV implies"},
    {"skip-bad", 0, CMD_TEXT, "N", "0",
     "pass over up to N rows that are malformed, counting them, instead of failing at the first; "
     "single objects of a map never fail it"},
    {"phrases", 'p', CMD_TEXT, "CSV", NULL,
     "special phrases for searches in maps (\"hotels in\"): a table with phrase, class, type, operator"},
    {"base", 'b', CMD_TEXT, "FILE.osm.pbf", NULL,
     "keep the map files, merged into one, so that `geocode update` can apply changes to them"},
    {"report", 'r', CMD_TEXT, "FILE", NULL,
     "write what was wrong with maps and how it was read, one JSON object a line"},
    {"memory", 'm', CMD_TEXT, "BYTES", "1GiB",
     "what sorting may take; beyond it goes to temporary files. Any amount makes the same index"},
    {"temp", 0, CMD_TEXT, "DIR", NULL,
     "folder of the temporary files, which have no names; beside INDEX if it is not given"},
    {"threads", 't', CMD_TEXT, "N", "0",
     "threads that read maps; 0: one a core. Any number makes the same index"},
    {"quiet", 'q', CMD_SWITCH, NULL, NULL, "print no progress"},
    {0},
};

static const cmd_flag UPDATE_FLAGS[] = {
    {"index", 'i', CMD_TEXT, "INDEX", NULL,
     "the index, imported with --base; replaced only once whole, and a server takes it up by itself"},
    {"base", 'b', CMD_TEXT, "FILE.osm.pbf", NULL,
     "where the merged map lies now, if it was moved since the import"},
    {"follow", 'f', CMD_TEXT, "DIR", NULL,
     "apply what comes into this folder of change files, in order, until SIGTERM"},
    {"every", 'e', CMD_TEXT, "DURATION", "60s", "how often to look into the folder"},
    {"once", 0, CMD_SWITCH, NULL, NULL, "end when all that is in the folder is applied"},
    {"sequence", 0, CMD_TEXT, "N", "0",
     "the last change that the map has, where it does not say itself"},
    {"report", 'r', CMD_TEXT, "FILE", NULL,
     "write what was wrong with the map and how it was read, one JSON object a line"},
    {"memory", 'm', CMD_TEXT, "BYTES", "1GiB", "as of geocode import"},
    {"temp", 0, CMD_TEXT, "DIR", NULL, "as of geocode import"},
    {"threads", 't', CMD_TEXT, "N", "0", "as of geocode import"},
    {"quiet", 'q', CMD_SWITCH, NULL, NULL, "print no messages"},
    {0},
};

static const cmd_flag SERVE_FLAGS[] = {
    {"index", 'i', CMD_TEXT, "INDEX", NULL, "the index file that `geocode import` wrote"},
    {"listen", 'l', CMD_TEXT, "ADDR", "127.0.0.1:7878",
     "HOST:PORT to serve on; port 0 takes any free one"},
    {"config", 'c', CMD_TEXT, "FILE", NULL, "YAML file with the keys listed below"},
    {"no-cache", 0, CMD_SWITCH, NULL, NULL, "compute each answer; as --cache.enabled=false"},
    {0},
};

static const cmd_flag BENCH_FLAGS[] = {
    {"index", 'i', CMD_TEXT, "INDEX", NULL, "the index file to search"},
    {"autocomplete", 'a', CMD_SWITCH, NULL, NULL,
     "take the last word of a query for the beginning of one"},
    {"limit", 'n', CMD_TEXT, "N", "5", "answers per query"},
    {"better", 'b', CMD_SWITCH, NULL, NULL,
     "measure the better search beside the plain one, where it is needed and where it is not"},
    {0},
};

static const cmd_flag VERIFY_FLAGS[] = {
    {"index", 'i', CMD_TEXT, "INDEX", NULL, "the index file to check"},
    {0},
};

static const cmd_flag BATCH_FLAGS[] = {
    {"index", 'i', CMD_TEXT, "INDEX", NULL, "the index file to search"},
    {"output", 'o', CMD_TEXT, "FILE", "-",
     "where the answered rows go; replaced only once whole; -: the standard output"},
    {"columns", 'c', CMD_TEXT, "A,B,...", "",
     "columns whose texts, in this order, are the query; all if not given"},
    {"reverse", 'r', CMD_SWITCH, NULL, NULL,
     "find the address at each row's point, in columns latitude or lat, and longitude, lon or lng"},
    {"filter", 'f', CMD_TEXT, "KEY=COLUMN,...", "",
     "filters (postcode, citycode, type) and the columns that have their values"},
    {"lat", 0, CMD_TEXT, "COLUMN", "", "with --lon, a point near which answers are preferred"},
    {"lon", 0, CMD_TEXT, "COLUMN", "", "see --lat"},
    {"min-score", 0, CMD_TEXT, "SCORE", NULL, "answers below it are none; 0.5 if not given"},
    {"encoding", 'e', CMD_TEXT, "NAME", "utf-8-sig",
     "of the input and the output: utf-8, latin-1, cp1252, utf-16 ..."},
    {"delimiter", 'd', CMD_TEXT, "CHAR", "", "between fields (\\t: tab); guessed if not given"},
    {"quote", 0, CMD_TEXT, "CHAR", "", "around fields"},
    {"threads", 't', CMD_TEXT, "N", "0", "threads that search; 0: one a core"},
    {"quiet", 'q', CMD_SWITCH, NULL, NULL, "print no progress and no figures"},
    {"better", 'b', CMD_SWITCH, NULL, NULL,
     "find more than Addok does: wrong postcodes, typing errors, house numbers between others"},
    {0},
};

static const cmd_flag USERS_FLAGS[] = {
    {"role", 'r', CMD_TEXT, "NAME", NULL,
     "viewer, editor or admin; a new user is a viewer without it"},
    {"name", 'n', CMD_TEXT, "TEXT", NULL, "the new user's name, for people to read"},
    {"storage.tsdb.path", 0, CMD_TEXT, "DIR", "data/",
     "the server's data directory, in which the database lies"},
    {"auth.config", 0, CMD_TEXT, "FILE", NULL,
     "the server's file of sign-in, where it names another database"},
    {"database", 'd', CMD_TEXT, "FILE", NULL, "the database itself"},
    {0},
};

/* Flags of all checks; a kind of file takes no notice of those that are not its own. */
static const cmd_flag CHECK_FLAGS[] = {
    {"syntax-only", 0, CMD_SWITCH, NULL, NULL,
     "of a configuration: leave alone the files that it names"},
    {"agent", 0, CMD_SWITCH, NULL, NULL, "check the configuration for Prometheus's agent mode"},
    {"lint", 0, CMD_TEXT, "NAME,...", "duplicate-rules,metric-names",
     "bad manners to look for: all, duplicate-rules, too-long-scrape-interval, metric-names, none"},
    {"lint-fatal", 0, CMD_SWITCH, NULL, NULL, "exit with status 3 where bad manners were found"},
    {"ignore-unknown-fields", 0, CMD_SWITCH, NULL, NULL,
     "let rule files have keys that nobody knows"},
    {"extended", 0, CMD_SWITCH, NULL, NULL, "of metrics: print how many series each name has"},
    {"expand-environment", 0, CMD_SWITCH, NULL, NULL,
     "replace ${NAME} in configurations, as `observe --config.expand-environment` does"},
    {"query.lookback-delta", 0, CMD_TEXT, "DURATION", "5m",
     "scrape intervals as long as this are too long"},
    {"enable-feature", 0, CMD_TEXT, "NAME,...", "", "features of PromQL that expressions may use"},
    {0},
};

static const cmd_flag DISCOVERY_FLAGS[] = {
    {"timeout", 0, CMD_TEXT, "DURATION", "30s", "how long to wait for targets"},
    {0},
};

static const cmd_flag QUERY_FLAGS[] = {
    {"url", 'u', CMD_TEXT, "URL", "http://127.0.0.1:9090", "the observatory or Prometheus to ask"},
    {"range", 'r', CMD_TEXT, "DURATION", NULL, "ask for a range that ends at --time: 1h, 7d"},
    {"step", 0, CMD_TEXT, "DURATION", NULL, "between the values of a range; about 250 of them"},
    {"time", 't', CMD_TEXT, "TIME", NULL, "unix seconds or 2026-11-21T18:00:00Z; now if not given"},
    {"format", 'f', CMD_TEXT, "NAME", "table",
     "table (a range is drawn as a chart on a terminal), json or csv"},
    {"storage.tsdb.path", 0, CMD_TEXT, "DIR", NULL,
     "read this data directory directly, without a server; nothing is written"},
    {"enable-feature", 0, CMD_TEXT, "NAME,...", "", "features of PromQL, with --storage.tsdb.path"},
    {0},
};

static const cmd_flag LIST_FLAGS[] = {
    {"url", 'u', CMD_TEXT, "URL", "http://127.0.0.1:9090", "the observatory or Prometheus to ask"},
    {"start", 0, CMD_TEXT, "TIME", NULL, "begin of the time looked at"},
    {"end", 0, CMD_TEXT, "TIME", NULL, "its end"},
    {0},
};

static const cmd_flag SERVER_FLAGS[] = {
    {"url", 'u', CMD_TEXT, "URL", "http://127.0.0.1:9090", "the observatory or Prometheus to ask"},
    {0},
};

static const cmd_flag ANALYZE_FLAGS[] = {
    {"url", 'u', CMD_TEXT, "URL", "http://127.0.0.1:9090", "the observatory or Prometheus to ask"},
    {"duration", 0, CMD_TEXT, "DURATION", "1h", "how far back to look"},
    {"time", 't', CMD_TEXT, "TIME", NULL, "unix seconds or 2026-11-21T18:00:00Z; now if not given"},
    {0},
};

static const cmd_flag SELECT_FLAGS[] = {
    {"match", 'm', CMD_TEXT, "SELECTOR", "{__name__=~\"(?s:.*)\"}", "the series: up{job=\"x\"}"},
    {"min-time", 0, CMD_TEXT, "MS", NULL, "the first sample's time at least, since 1970"},
    {"max-time", 0, CMD_TEXT, "MS", NULL, "the last sample's time at most"},
    {0},
};

static const cmd_flag BLOCKS_FLAGS[] = {
    {"human-readable", 'r', CMD_SWITCH, NULL, NULL, "times as dates, sizes with units"},
    {0},
};

static const cmd_flag BLOCK_FLAGS[] = {
    {"limit", 0, CMD_TEXT, "N", "20", "most rows of a table"},
    {"match", 'm', CMD_TEXT, "SELECTOR", NULL, "of these series alone: {job=\"x\"}"},
    {0},
};

static const cmd_flag DELETE_FLAGS[] = {
    {"match", 'm', CMD_TEXT, "SELECTOR", "{__name__=~\"(?s:.*)\"}", "the series: up{job=\"x\"}"},
    {"min-time", 0, CMD_TEXT, "MS", NULL, "the first sample's time at least, since 1970"},
    {"max-time", 0, CMD_TEXT, "MS", NULL, "the last sample's time at most"},
    {"clean", 0, CMD_SWITCH, NULL, NULL, "write blocks anew at once, so that the space is free"},
    {0},
};

static const cmd_flag SNAPSHOT_FLAGS[] = {
    {"skip-head", 0, CMD_SWITCH, NULL, NULL, "leave out what is not in blocks yet"},
    {0},
};

static const cmd_flag BACKFILL_FLAGS[] = {
    {"label", 'l', CMD_EACH, "NAME=VALUE", NULL,
     "a label that every series gets; may be given several times"},
    {0},
};

static const cmd_flag TEST_RULES_FLAGS[] = {
    {"run", 0, CMD_EACH, "REGEX", NULL,
     "run only the tests whose names it finds; may be given several times"},
    {"ignore-unknown-fields", 0, CMD_SWITCH, NULL, NULL,
     "let rule files have keys that nobody knows"},
    {"enable-feature", 0, CMD_TEXT, "NAME,...", "", "features of PromQL that expressions may use"},
    {0},
};

#define TRACES_DIR                                                                                 \
    {"dir",                                                                                        \
     'd',                                                                                          \
     CMD_TEXT,                                                                                     \
     "DIR",                                                                                        \
     "data/",                                                                                      \
     "the data directory of `sextant observe`, or the folder of traces in it; no server may use it"}

static const cmd_flag TRACES_FLAGS[] = {TRACES_DIR, {0}};

static const cmd_flag TRACES_EXPORT_FLAGS[] = {
    TRACES_DIR,
    {"trace", 't', CMD_TEXT, "ID", NULL, "this trace alone"},
    {"service", 's', CMD_TEXT, "NAME", NULL, "traces in which it has a span"},
    {"start", 0, CMD_TEXT, "TIME", NULL,
     "traces with a span that began then or later: unix seconds or 2026-11-21T18:00:00Z"},
    {"end", 0, CMD_TEXT, "TIME", NULL, "traces with a span that began then or before"},
    {0},
};

static const cmd_flag TRACES_IMPORT_FLAGS[] = {
    {"url", 'u', CMD_TEXT, "URL", NULL, "the OTLP port of a running server: http://127.0.0.1:4318"},
    {"dir", 'd', CMD_TEXT, "DIR", NULL, "a data directory that no server uses; made if need be"},
    {0},
};

const cmd_command COMMANDS[] = {
    {"up", "", 0, 0, "run everything on this machine, on real data",
     "Imports the address data that ships with sextant if that was not done before, serves it, "
     "keeps the metrics of it and of itself, and prints the addresses to open. Stays in the "
     "foreground; Ctrl-C stops it cleanly. "
     "If it is running already, it prints the addresses and exits.",
     "sextant up --dir /var/lib/sextant", UP_FLAGS, false, cmd_up},
    {"geocode import", "FILE...", 1, -1, "build a geocoder's index from address files and maps",
     "Reads Addok's NDJSON or JSON, the BAN's CSV, GeoNames' tables of places, postcodes, "
     "regions and countries, plain or compressed (gzip, zstd, bzip2), and OpenStreetMap's PBF and "
     "XML, told apart by content. The "
     "index is written beside its final place and renamed when it is whole and on the disk, so "
     "that an import that fails or is killed leaves the old index as it was.",
     "sextant geocode import -o france.idx data/france.ndjson.gz", IMPORT_FLAGS, false,
     cmd_geocode_import},
    {"geocode update", "[CHANGE.osc...]", 0, -1, "apply OpenStreetMap's changes to an index",
     "Applies change files (.osc, plain, gzip or bzip2) to the map that the index was made of and "
     "makes the index anew beside the one that serves. With --follow it does so whenever a folder gets "
     "new ones: laid out as on planet.openstreetmap.org (state.txt, 000/000/001.osc.gz), or in the order "
     "of their names. A file that is missing or damaged is told and waited for. Killed at any moment, it "
     "goes on where it was when it is started again. The other files that the index was made of must be "
     "where they were.",
     "sextant geocode update --index world.idx --follow /var/lib/osm/minute", UPDATE_FLAGS, false,
     cmd_geocode_update},
    {"geocode serve", "", 0, 0, "serve an index over HTTP with Addok's API",
     "Answers /search/ and /reverse/ as GeoJSON, and a search page at /. Metrics are at /metrics, "
     "health at /health/live and /health/ready. SIGTERM drains and stops, SIGUSR1 reopens the "
     "logs, SIGHUP reads the configuration again and takes up a new index at once; without it a new "
     "index is taken up within some seconds.",
     "sextant geocode serve --index france.idx --listen 127.0.0.1:7878", SERVE_FLAGS, true,
     cmd_geocode_serve},
    {"geocode batch", "FILE.csv", 1, 1, "find the address of every row of a CSV file",
     "Adds columns with the address found, its position and its score to each row, as /search/csv/ "
     "does, on all cores and in the rows' order; - reads the standard input. A row without an answer "
     "gets empty columns; no row fails the file. A progress bar is drawn on a terminal; the last "
     "line on stderr has the rows per second.",
     "sextant geocode batch --index france.idx --columns street,city -o found.csv rows.csv",
     BATCH_FLAGS, false, cmd_geocode_batch},
    {"geocode bench", "QUERIES", 1, 1, "measure searches without HTTP",
     "Reads one query a line and searches each on one thread, without cache. Prints latencies and, "
     "as its last line, the queries per second.",
     "sextant geocode bench --index france.idx queries.txt", BENCH_FLAGS, false, cmd_geocode_bench},
    {"geocode verify", "", 0, 0, "check every byte of an index",
     "Reads the whole file and checks each section's CRC32C and structure.",
     "sextant geocode verify --index france.idx", VERIFY_FLAGS, false, cmd_geocode_verify},
    {"geocode visit", "", 0, -1, "ask a geocoder as people do, for something to see",
     "Types addresses letter by letter, finds them, looks up the place under the pointer, asks "
     "Nominatim's and Photon's APIs, and now and then has a file answered: real questions to the "
     "data that ships with sextant, with spans of their own. `sextant up` runs one. Its flags are "
     "settings of a service; they are listed below.",
     "sextant geocode visit --visit.geocoder=http://127.0.0.1:7878", NO_FLAGS, false,
     cmd_geocode_visit, cmd_geocode_visit_flags},
    {"observe users", "ACTION [LOGIN]", 1, 2,
     "list, add, change and remove the local users of sign-in",
     "ACTION is add, list, passwd, role, disable, enable or remove. The password is asked for, or is the "
     "first line of the standard input. Works while a server runs, which takes a change up within "
     "seconds; --auth.config of `sextant observe` turns sign-in on, see docs/howto/sign-in.md.",
     "sextant observe users add ann --role admin", USERS_FLAGS, false, cmd_observe_users},
    {"observe", "", 0, -1, "store and query metrics with Prometheus's files, flags and API",
     "Takes Prometheus's configuration file and flags as they are, opens its data directory and "
     "serves its HTTP API. A flag that is not supported is refused by name. SIGTERM drains and "
     "stops, SIGHUP takes up the configuration file again (a broken one leaves the old one in force), "
     "SIGUSR1 reopens the logs.",
     "sextant observe --config.file=prometheus.yml --storage.tsdb.path=data", NO_FLAGS, false,
     cmd_observe, cmd_observe_flags},
    {"check config", "FILE...", 1, -1, "check configurations in prometheus.yml's form",
     "Reads each file as `sextant observe` would and reports every fault with its line; then looks "
     "whether rule files, target files, certificates and credentials that it names are there and "
     "right. Exit status 1 for a fault, 3 for bad manners with --lint-fatal.",
     "sextant check config /etc/prometheus/prometheus.yml", CHECK_FLAGS, false, cmd_check_config},
    {"check rules", "[FILE...]", 0, -1, "check files of rules",
     "Reads the standard input if no file is named.", "sextant check rules alerts/*.yml",
     CHECK_FLAGS, false, cmd_check_rules},
    {"check web-config", "FILE...", 1, -1, "check web configurations (TLS, users)", NULL,
     "sextant check web-config web.yml", CHECK_FLAGS, false, cmd_check_web_config},
    {"check metrics", "[FILE...]", 0, -1, "check metrics in text form and how they are named",
     "Reads the standard input if no file is named. Exit status 3 if names are not as they should "
     "be.",
     "curl -s http://localhost:9100/metrics | sextant check metrics", CHECK_FLAGS, false,
     cmd_check_metrics},
    {"check service-discovery", "CONFIG JOB", 2, 2, "print the targets that a job finds",
     "Runs the job's discoveries and prints each target with its labels before and after "
     "relabelling, as JSON. Labels are empty where relabelling drops the target.",
     "sextant check service-discovery prometheus.yml node", DISCOVERY_FLAGS, false,
     cmd_check_service_discovery},
    {"check healthy", "", 0, 0, "ask a server whether it is alive", NULL,
     "sextant check healthy --url http://metrics:9090", SERVER_FLAGS, false, cmd_check_healthy},
    {"check ready", "", 0, 0, "ask a server whether it answers queries", NULL,
     "sextant check ready --url http://metrics:9090", SERVER_FLAGS, false, cmd_check_ready},
    {"check", "FILE...", 1, -1, "check files of every kind, told apart by content",
     "Configurations in prometheus.yml's form, rules, tests of rules (which are run), web "
     "configurations, target groups of file discovery, metrics in text form, OpenTelemetry "
     "Collector configurations, Jaeger's sampling strategies. Faults come with file and line on "
     "standard error; exit status 1 if there is one.",
     "sextant check prometheus.yml alerts/*.yml", CHECK_FLAGS, false, cmd_check},
    {"query series", "SELECTOR...", 1, -1, "list the series that selectors choose", NULL,
     "sextant query series 'up{job=\"node\"}'", LIST_FLAGS, false, cmd_query_series},
    {"query labels", "[SELECTOR...]", 0, -1, "list label names, of some series or of all", NULL,
     "sextant query labels", LIST_FLAGS, false, cmd_query_labels},
    {"query label-values", "NAME [SELECTOR...]", 1, -1, "list the values of a label", NULL,
     "sextant query label-values job", LIST_FLAGS, false, cmd_query_label_values},
    {"query exemplars", "EXPR", 1, 1, "list the exemplars of an expression's series", NULL,
     "sextant query exemplars 'http_request_duration_seconds_bucket'", LIST_FLAGS, false,
     cmd_query_exemplars},
    {"query analyze", "SELECTOR...", 1, -1, "count the buckets that histograms fill",
     "For each classic or native histogram among the series: the least, mean and most buckets that "
     "were not empty, and how many there are. It shows where buckets are wasted, or too few.",
     "sextant query analyze http_request_duration_seconds_bucket", ANALYZE_FLAGS, false,
     cmd_query_analyze},
    {"query", "EXPR", 1, 1, "ask PromQL and show the answer as a table or chart",
     "Asks a running observatory (or any Prometheus), or reads a data directory. A range is drawn in "
     "a terminal, and written as a table to a pipe.",
     "sextant query 'rate(http_requests_total[5m])' --range 1h", QUERY_FLAGS, false, cmd_query},
    {"tsdb list", "[DIR]", 0, 1, "list the blocks of a data directory", NULL,
     "sextant tsdb list data/", BLOCKS_FLAGS, false, cmd_tsdb_list},
    {"tsdb analyze", "[DIR [BLOCK]]", 0, 2, "show what a block's series are made of",
     "Tables of churn, of label pairs and names, and of cardinality, as promtool's; of the last block "
     "unless one is named.",
     "sextant tsdb analyze data/", BLOCK_FLAGS, false, cmd_tsdb_analyze},
    {"tsdb dump", "[DIR]", 0, 1, "write out samples, a line each, as promtool does", NULL,
     "sextant tsdb dump data/ --match 'up'", SELECT_FLAGS, false, cmd_tsdb_dump},
    {"tsdb export", "[DIR]", 0, 1, "write out samples as OpenMetrics",
     "Native histograms and stale markers are left out: OpenMetrics has no form for them.",
     "sextant tsdb export data/ --match 'up' > up.om", SELECT_FLAGS, false, cmd_tsdb_export},
    {"tsdb verify", "[DIR]", 0, 1, "read every sample of a data directory",
     "Checks the sums of all chunks and indexes on the way. Nothing is written.",
     "sextant tsdb verify data/", SELECT_FLAGS, false, cmd_tsdb_verify},
    {"tsdb snapshot", "[DIR]", 0, 1, "make a copy of a data directory within it",
     "Blocks are hard-linked into DIR/snapshots/NAME. Of a directory that a server uses, ask the "
     "server: POST /api/v1/admin/tsdb/snapshot.",
     "sextant tsdb snapshot data/", SNAPSHOT_FLAGS, false, cmd_tsdb_snapshot},
    {"tsdb delete", "[DIR]", 0, 1, "delete samples from a data directory", NULL,
     "sextant tsdb delete data/ --match 'up{job=\"old\"}'", DELETE_FLAGS, false, cmd_tsdb_delete},
    {"tsdb backfill", "FILE [DIR]", 1, 2, "take an OpenMetrics file into a data directory",
     "Samples of any age are taken, each with its timestamp. A progress bar is drawn on a terminal.",
     "sextant tsdb backfill old.om data/", BACKFILL_FLAGS, false, cmd_tsdb_backfill},
    {"test rules", "FILE...", 1, -1, "run unit tests of rules",
     "The files are promtool's: input series, the alerts that are to fire and the values that "
     "expressions are to have at given times. Exit status 1 if a test fails.",
     "sextant test rules tests/alerts_test.yml", TEST_RULES_FLAGS, false, cmd_test_rules},
    {"traces export", "", 0, 0, "write out traces, a line each, as OTLP's JSON",
     "Each line is one trace with all of its spans, the newest trace first. It can be taken in again "
     "by `sextant traces import`, an OpenTelemetry Collector's file receiver, or anything that "
     "reads OTLP.",
     "sextant traces export --dir data --service shop --start 2026-11-21T18:00:00Z > shop.jsonl",
     TRACES_EXPORT_FLAGS, false, cmd_traces_export},
    {"traces import", "FILE...", 1, -1, "take files of spans into a server or a data directory",
     "Reads OTLP (JSON, also a line a request, and protobuf), what Jaeger's page saves and its API "
     "answers, and Zipkin's JSON, plain or compressed (gzip, zstd, bzip2); each is told by its "
     "content. A span that is there already is kept twice.",
     "sextant traces import --url http://127.0.0.1:4318 shop.jsonl", TRACES_IMPORT_FLAGS, false,
     cmd_traces_import},
    {"traces verify", "", 0, 0, "read every span of a data directory",
     "Checks the sums and the structure of all segments and of the log; a line for each fault. "
     "Nothing is written.",
     "sextant traces verify --dir data", TRACES_FLAGS, false, cmd_traces_verify},
    {"traces stats", "", 0, 0, "count spans and errors of each service", NULL,
     "sextant traces stats --dir data", TRACES_FLAGS, false, cmd_traces_stats},
    {"version", "", 0, 0, "print version, commit, compiler and libraries", NULL, NULL, NO_FLAGS,
     false, cmd_version},
    {"help", "[COMMAND]", 0, 2, "explain a command, or list them all", NULL,
     "sextant help geocode import", NO_FLAGS, false, cmd_help},
    {"man", "", 0, 0, "print the manual page in roff",
     "The installed sextant(1) is made by this command.", "sextant man | man -l -", NO_FLAGS, false,
     cmd_man},
    {"completion", "bash|zsh|fish", 1, 1, "print a completion script for a shell", NULL,
     "source <(sextant completion bash)", NO_FLAGS, false, cmd_completion},
    {0},
};
