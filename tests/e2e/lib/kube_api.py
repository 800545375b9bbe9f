"""A Kubernetes API server that is just enough for list and watch: objects in memory, versions,
bookmarks, pages, 410 Gone, and faults on demand.

    with KubeApi() as api:
        api.put("pods", {"metadata": {"name": "p", "namespace": "n"}, ...})
        api.url    "http://127.0.0.1:PORT"

Everything a client asks is noted in api.requests as (path, parameters, headers)."""
import copy
import http.server
import json
import queue
import threading
import urllib.parse

GROUPS = {"pods": "/api/v1", "services": "/api/v1", "endpoints": "/api/v1", "nodes": "/api/v1",
          "namespaces": "/api/v1", "endpointslices": "/apis/discovery.k8s.io/v1",
          "ingresses": "/apis/networking.k8s.io/v1"}
KINDS = {"pods": "Pod", "services": "Service", "endpoints": "Endpoints", "nodes": "Node",
         "namespaces": "Namespace", "endpointslices": "EndpointSlice", "ingresses": "Ingress"}


def group_version(resource):
    return GROUPS[resource].removeprefix("/apis/").removeprefix("/api/")


def selected(selector, labels):
    """Equality selectors alone: a=b,c!=d,e."""
    for part in filter(None, (selector or "").split(",")):
        if "!=" in part:
            key, value = part.split("!=")
            if labels.get(key) == value:
                return False
        elif "=" in part:
            key, value = part.replace("==", "=").split("=")
            if labels.get(key) != value:
                return False
        elif part not in labels:
            return False
    return True


def field_selected(selector, item):
    for part in filter(None, (selector or "").split(",")):
        path, value = part.split("=")
        at = item
        for key in path.split("."):
            at = at.get(key, {}) if isinstance(at, dict) else {}
        if (at or "") != value:
            return False
    return True


class KubeApi:
    def __init__(self, token=None):
        self.lock = threading.Lock()
        self.version = 100
        self.items = {resource: {} for resource in GROUPS}
        self.watches = []
        self.requests = []
        self.token = token
        self.fail_lists = 0       # so many lists are answered 500
        self.gone_watches = 0     # so many watches are answered 410 at once
        self.page_limit = None    # smaller pages than asked for
        api = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def do_GET(self):
                api.answer(self)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end_watches()
        self.server.shutdown()
        self.server.server_close()

    # ---- what tests do

    @staticmethod
    def key(item):
        return item["metadata"].get("namespace", ""), item["metadata"]["name"]

    def put(self, resource, item):
        with self.lock:
            self.version += 1
            item = copy.deepcopy(item)
            item.setdefault("apiVersion", group_version(resource))
            item.setdefault("kind", KINDS[resource])
            item["metadata"]["resourceVersion"] = str(self.version)
            old = self.items[resource].get(self.key(item))
            self.items[resource][self.key(item)] = item
            for watch in self.watches:
                if watch["resource"] != resource:
                    continue
                # What a selector does not choose any more is gone to that watch.
                before, after = bool(old) and self.matches(old, watch), self.matches(item, watch)
                if before or after:
                    kind = "MODIFIED" if before and after else "ADDED" if after else "DELETED"
                    watch["queue"].put({"type": kind, "object": item})

    def delete(self, resource, namespace, name):
        with self.lock:
            self.version += 1
            item = self.items[resource].pop((namespace, name))
            item["metadata"]["resourceVersion"] = str(self.version)
            self.tell(resource, "DELETED", item)

    def bookmark(self):
        with self.lock:
            self.version += 1
            for watch in self.watches:
                watch["queue"].put({"type": "BOOKMARK", "object": {
                    "kind": KINDS[watch["resource"]], "apiVersion": group_version(watch["resource"]),
                    "metadata": {"resourceVersion": str(self.version)}}})

    def expire_watches(self):
        """Tells all watches that their version is too old."""
        with self.lock:
            for watch in self.watches:
                watch["queue"].put({"type": "ERROR", "object": {
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 410,
                    "reason": "Expired", "message": "too old resource version"}})
                watch["queue"].put(None)

    def end_watches(self):
        with self.lock:
            for watch in self.watches:
                watch["queue"].put(None)

    def watching(self, *resources):
        with self.lock:
            return set(resources) <= {w["resource"] for w in self.watches}

    # ---- what clients see

    def tell(self, resource, kind, item):
        for watch in self.watches:
            if watch["resource"] == resource and self.matches(item, watch):
                watch["queue"].put({"type": kind, "object": item})

    @staticmethod
    def matches(item, query):
        return (query["namespace"] in ("", item["metadata"].get("namespace", "")) and
                selected(query["label"], item["metadata"].get("labels", {})) and
                field_selected(query["field"], item))

    def answer(self, handler):
        url = urllib.parse.urlsplit(handler.path)
        parameters = dict(urllib.parse.parse_qsl(url.query))
        with self.lock:
            self.requests.append((url.path, parameters, dict(handler.headers)))
        query = self.parse(url.path, parameters)
        if self.token and handler.headers.get("Authorization") != f"Bearer {self.token}":
            self.refuse(handler, 401, "Unauthorized")
        elif not query:
            self.refuse(handler, 404, "the server could not find the requested resource")
        elif "sendInitialEvents" in parameters:
            self.refuse(handler, 422, "sendInitialEvents is forbidden")
        elif parameters.get("watch") in ("1", "true"):
            self.watch(handler, query, parameters)
        else:
            self.list(handler, query, parameters)

    @staticmethod
    def parse(path, parameters):
        for resource, prefix in GROUPS.items():
            if not path.startswith(prefix + "/"):
                continue
            parts = path[len(prefix) + 1:].split("/")
            namespace = ""
            if len(parts) == 3 and parts[0] == "namespaces":
                namespace, parts = parts[1], parts[2:]
            if parts == [resource]:
                return {"resource": resource, "namespace": namespace,
                        "label": parameters.get("labelSelector"),
                        "field": parameters.get("fieldSelector")}
        return None

    @staticmethod
    def send(handler, status, body):
        data = json.dumps(body).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    def refuse(self, handler, code, message):
        self.send(handler, code, {"kind": "Status", "apiVersion": "v1", "metadata": {},
                                  "status": "Failure", "message": message, "code": code})

    def list(self, handler, query, parameters):
        with self.lock:
            if self.fail_lists:
                self.fail_lists -= 1
                found = None
            else:
                found = [i for i in self.items[query["resource"]].values() if self.matches(i, query)]
            version = self.version
        if found is None:
            self.refuse(handler, 500, "the database sleeps")
            return
        limit = min(int(parameters.get("limit") or 10 ** 9), self.page_limit or 10 ** 9)
        at = int(parameters.get("continue") or 0)
        metadata = {"resourceVersion": str(version)}
        if at + limit < len(found):
            metadata["continue"] = str(at + limit)
        self.send(handler, 200, {
            "kind": KINDS[query["resource"]] + "List", "apiVersion": group_version(query["resource"]),
            "metadata": metadata, "items": found[at:at + limit]})

    def watch(self, handler, query, parameters):
        with self.lock:
            if self.gone_watches:
                self.gone_watches -= 1
                gone = True
            else:
                gone = False
                query["queue"] = queue.Queue()
                since = int(parameters.get("resourceVersion") or 0)
                for item in self.items[query["resource"]].values():
                    if int(item["metadata"]["resourceVersion"]) > since and self.matches(item, query):
                        query["queue"].put({"type": "ADDED", "object": item})
                self.watches.append(query)
        if gone:
            self.refuse(handler, 410, "too old resource version")
            return
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        try:
            while (event := query["queue"].get()) is not None:
                line = json.dumps(event).encode() + b"\n"
                half = len(line) // 2 # lines need not come in one piece
                for piece in (line[:half], line[half:]):
                    handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                    handler.wfile.flush()
            handler.wfile.write(b"0\r\n\r\n")
        except OSError:
            pass
        finally:
            with self.lock:
                self.watches.remove(query)
