"""A recorder that answers as Elasticsearch does, as far as spans are concerned: the bulk API with every
check that a server makes of its lines, index templates, and the searches that Jaeger's query asks.

    with Elastic() as es:
        ... documents arrive at es.url ...
        es.docs["jaeger-span-2023-11-14"]       id -> document

What goes wrong is set: es.refuse(n, status, headers) for whole requests, es.item_status(index, doc) for
single documents, es.body_bytes_max for 413. Sources: Elasticsearch, "Bulk API", "Search API"."""
import fnmatch
import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Elastic:
    def __init__(self, version="8.15.0", port=0, credentials=None):
        self.version, self.credentials = version, credentials
        self.docs, self.templates, self.requests = {}, {}, []
        self.bulks = 0
        self.refusals = []          # (status, headers) of the next bulk requests
        self.item_status = lambda index, doc: None
        self.body_bytes_max = 100 << 20
        self.faults = []            # what a client did wrong
        self.lock = threading.Lock()
        handler = type("Handler", (_Handler,), {"es": self})
        self.server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def refuse(self, times, status, headers=()):
        self.refusals += [(status, dict(headers))] * times

    def of(self, pattern):
        """All documents of the indices that a pattern names."""
        with self.lock:
            return [doc for name in sorted(self.docs) if fnmatch.fnmatch(name, pattern)
                    for doc in self.docs[name].values()]

    # --- The bulk API.

    def bulk(self, body):
        if not body.endswith(b"\n"):
            self.faults.append("the last line has no newline")
            return 400, {"error": {"type": "illegal_argument_exception",
                                   "reason": "The bulk request must be terminated by a newline"},
                         "status": 400}
        lines, items, at = body.split(b"\n")[:-1], [], 0
        with self.lock:
            while at < len(lines):
                (op, meta), = json.loads(lines[at]).items()
                if op not in ("index", "create") or not meta.get("_index"):
                    self.faults.append(f"line {at}: {lines[at][:200]}")
                doc = json.loads(lines[at + 1], object_pairs_hook=self._object)
                items.append({op: self._put(op, meta, doc)})
                at += 2
            self.bulks += 1
        return 200, {"took": 1, "errors": any(i["status"] >= 300 for x in items
                                              for i in x.values()), "items": items}

    def _object(self, pairs):
        keys = [k for k, _ in pairs]
        if len(keys) != len(set(keys)):
            self.faults.append(f"duplicate field among {keys}")
        return dict(pairs)

    def _put(self, op, meta, doc):
        index, ident = meta["_index"], meta.get("_id") or str(len(self.docs))
        told = {"_index": index, "_id": ident}
        status = self.item_status(index, doc)
        if not status and op == "create" and ident in self.docs.get(index, {}):
            status = 409
        if status:
            kind = {429: "es_rejected_execution_exception", 409: "version_conflict_engine_exception",
                    400: "mapper_parsing_exception"}.get(status, "exception")
            return {**told, "status": status, "error": {"type": kind, "reason": f"as told: {status}"}}
        known = self.docs.setdefault(index, {})
        result = "updated" if ident in known else "created"
        known[ident] = doc
        return {**told, "status": 200 if result == "updated" else 201, "result": result, "_version": 1}

    # --- Searches.

    def search(self, indices, query):
        docs = [(name, ident, doc) for name in sorted(self.docs)
                if any(fnmatch.fnmatch(name, i) for i in indices.split(","))
                for ident, doc in self.docs[name].items()
                if _matches(query.get("query") or {"match_all": {}}, doc)]
        for order in reversed(query.get("sort") or []):
            (field, how), = order.items() if isinstance(order, dict) else {order: "asc"}.items()
            how = how["order"] if isinstance(how, dict) else how
            docs.sort(key=lambda d, f=field: _values(d[2], f)[:1], reverse=how == "desc")
        out = {"took": 1, "timed_out": False,
               "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
               "hits": {"total": {"value": len(docs), "relation": "eq"}, "max_score": None,
                        "hits": [{"_index": n, "_id": i, "_score": None, "_source": d,
                                  "sort": [d.get("startTime", 0)]}
                                 for n, i, d in docs[:query.get("size", 10)]]}}
        asked = query.get("aggregations") or query.get("aggs")
        if asked:
            out["aggregations"] = _aggregate(asked, [d for _, _, d in docs])
        return out


def _aggregate(asked, docs):
    out = {}
    for name, how in asked.items():
        if "max" in how:
            found = [v for d in docs for v in _values(d, how["max"]["field"])]
            out[name] = {"value": max(found) if found else None}
            continue
        groups = {}
        for doc in docs:
            for value in _values(doc, how["terms"]["field"]):
                groups.setdefault(value, []).append(doc)
        inner = how.get("aggregations") or how.get("aggs") or {}
        buckets = [{"key": k, "doc_count": len(v), **_aggregate(inner, v)} for k, v in groups.items()]
        order = how["terms"].get("order")
        for one in reversed(order if isinstance(order, list) else [order] if order else []):
            (by, way), = one.items()
            if by in inner:
                buckets.sort(key=lambda b, n=by: b[n]["value"], reverse=way == "desc")
        out[name] = {"doc_count_error_upper_bound": 0, "sum_other_doc_count": 0,
                     "buckets": buckets[:how["terms"].get("size", 10)]}
    return out


def _values(doc, path):
    if path in doc:
        return [doc[path]]
    head, _, rest = path.partition(".")
    inner = doc.get(head)
    if not rest or inner is None:
        return []
    return [v for one in (inner if isinstance(inner, list) else [inner]) if isinstance(one, dict)
            for v in _values(one, rest)]


def _as_list(x):
    return x if isinstance(x, list) else [x] if x else []


def _text(x):
    return "true" if x is True else "false" if x is False else str(x)


def _matches(query, doc, prefix=""):
    (kind, how), = query.items()
    if kind == "match_all":
        return True
    if kind == "bool":
        should = _as_list(how.get("should"))
        return (all(_matches(q, doc) for q in _as_list(how.get("must")) + _as_list(how.get("filter")))
                and not any(_matches(q, doc) for q in _as_list(how.get("must_not")))
                and (not should or any(_matches(q, doc) for q in should)))
    if kind == "nested":
        head, _, rest = how["path"].partition(".")
        nested = _as_list(doc.get(head))
        if rest:
            nested = [x for one in nested for x in _as_list(one.get(rest))]
        return any(_nested(how["query"], one, how["path"] + ".") for one in nested)
    (field, want), = ((k, v) for k, v in how.items() if k not in ("boost",))
    found = _values(doc, field)
    if kind in ("match", "term", "regexp"):
        want = want.get("query", want.get("value")) if isinstance(want, dict) else want
        return any(_text(v) == _text(want) for v in found)
    if kind == "terms":
        return any(_text(v) in [_text(w) for w in want] for v in found)
    if kind == "range":
        low = want.get("gte", want.get("from"))
        high = want.get("lte", want.get("to"))
        return any((low is None or v >= low) and (high is None or v <= high) for v in found)
    raise AssertionError(f"a query that the recorder does not know: {kind}")


def _nested(query, one, prefix):
    """Queries within a nested document name their fields by the whole path."""
    text = json.dumps(query).replace(f'"{prefix}', '"')
    return _matches(json.loads(text), one)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    es = None

    def log_message(self, *_):
        pass

    def _answer(self, status, body, headers=()):
        data = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "X-Elastic-Product": "Elasticsearch",
                            "Content-Length": str(len(data)), **dict(headers)}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while True:
                size = int(self.rfile.readline().split(b";")[0], 16)
                body += self.rfile.read(size)
                self.rfile.readline()
                if not size:
                    break
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return body

    def _do(self):
        es, path = self.es, unquote(urlsplit(self.path).path)
        body = self._body()
        es.requests.append((self.command, path, dict(self.headers)))
        if es.credentials and self.headers.get("Authorization") != es.credentials:
            return self._answer(401, {"error": {"type": "security_exception"}, "status": 401})
        if path.endswith("/_bulk"):
            kind = self.headers.get("Content-Type", "")
            if "x-ndjson" not in kind and "json" not in kind:
                es.faults.append(f"content type {kind}")
                return self._answer(406, {"error": f"Content-Type header [{kind}] is not supported"})
            if es.refusals:
                status, headers = es.refusals.pop(0)
                return self._answer(status, {"error": {"type": "circuit_breaking_exception"},
                                             "status": status}, headers)
            if len(body) > es.body_bytes_max:
                return self._answer(413, {})
            return self._answer(*es.bulk(body))
        if path.startswith(("/_index_template/", "/_template/")):
            name = path.rsplit("/", 1)[1]
            if self.command == "PUT":
                es.templates[path] = json.loads(body)
                return self._answer(200, {"acknowledged": True})
            known = path in es.templates
            return self._answer(200 if known else 404, {name: es.templates.get(path)})
        if path.endswith("/_msearch"):
            lines = [json.loads(x) for x in body.split(b"\n") if x.strip()]
            with es.lock:
                found = [{**es.search(",".join(_as_list(h.get("index", "*"))), q), "status": 200}
                         for h, q in zip(lines[::2], lines[1::2])]
            return self._answer(200, {"took": 1, "responses": found})
        if path.endswith("/_search"):
            with es.lock:
                return self._answer(200, es.search(path.strip("/").rsplit("/", 1)[0],
                                                   json.loads(body or b"{}")))
        if path == "/":
            return self._answer(200, {"name": "recorder", "cluster_name": "test",
                                      "version": {"number": es.version, "build_flavor": "default"},
                                      "tagline": "You Know, for Search"})
        return self._answer(404, {"error": {"type": "resource_not_found_exception"}, "status": 404})

    do_GET = do_POST = do_PUT = do_HEAD = _do
