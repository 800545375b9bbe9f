"""Traces to look at, as requests of OTLP's JSON: a shop's, with failures; one of any number of spans; one
that is hostile.

    post(url, shop(trace_id("a"), start_ns, slow=True, fail=False))
"""
import hashlib
import json

import requests

MS = 1_000_000


def trace_id(word):
    return hashlib.md5(word.encode()).hexdigest()


def attributes(of):
    """KeyValues of a dict."""
    def value(v):
        if isinstance(v, bool):
            return {"boolValue": v}
        if isinstance(v, int):
            return {"intValue": str(v)}
        if isinstance(v, float):
            return {"doubleValue": v}
        if isinstance(v, list):
            return {"arrayValue": {"values": [value(x) for x in v]}}
        return {"stringValue": v}
    return [{"key": k, "value": value(v)} for k, v in of.items()]


class Maker:
    """Spans of one trace by service; add() gives the new span's id, a parent for others."""

    def __init__(self, trace, start):
        self.trace, self.start, self.services, self.next = trace, start, {}, 1

    def add(self, service, name, parent, at_ms, ms, kind=1, error="", **more):
        number = self.next
        self.next += 1
        start = self.start + round(at_ms * MS)
        one = {"traceId": self.trace, "spanId": f"{number:016x}", "parentSpanId": parent, "name": name, "kind": kind,
               "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + round(ms * MS))}
        if error:
            one["status"] = {"code": 2, "message": error}
        if "attributes" in more:
            one["attributes"] = attributes(more.pop("attributes"))
        one.update(more)
        self.services.setdefault(service, []).append(one)
        return one["spanId"]

    def request(self):
        return {"resourceSpans": [{
            "resource": {"attributes": attributes({"service.name": service, "service.version": "1.4.2", "host.name": f"{service}-1"})},
            "scopeSpans": [{"scope": {"name": "shapes", "version": "1"}, "spans": spans}]} for service, spans in self.services.items()]}


INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5


def shop(trace, start, slow=False, fail=False, more=0, links=()):
    """An order: a front, a shop, a stock with its database, a payment, and a mail that comes later."""
    m = Maker(trace, start)
    pay = 180 if slow else 40
    whole = 90 + pay
    root = m.add("front", "POST /order", "", 0, whole, SERVER, "payment failed" if fail else "", attributes={
        "http.request.method": "POST", "url.path": "/order", "http.response.status_code": 500 if fail else 200, "user.id": "u-1837", "cart.items": 3})
    call = m.add("front", "POST", root, 2, whole - 4, CLIENT)
    order = m.add("shop", "POST /orders", call, 4, whole - 8, SERVER, "payment failed" if fail else "", attributes={"http.route": "/orders", "order.id": "o-55"}, events=[
        {"timeUnixNano": str(start + 9 * MS), "name": "cart loaded", "attributes": attributes({"items": 3})},
        {"timeUnixNano": str(start + 60 * MS), "name": "stock reserved"}], links=[{"traceId": t, "spanId": f"{1:016x}"} for t in links])
    m.add("shop", "validate", order, 5, 8)
    stock = m.add("stock", "Reserve", m.add("shop", "stock/Reserve", order, 14, 40, CLIENT), 16, 36, SERVER, attributes={"rpc.system": "grpc"})
    for k in range(3 + more):
        m.add("stock", "SELECT stock", stock, 18 + 8 * k, 6, CLIENT, attributes={
            "db.system.name": "postgresql", "db.query.text": "SELECT id, count FROM stock WHERE id = $1 FOR UPDATE", "server.address": "db-1"})
    paid = m.add("payment", "Charge", m.add("shop", "payment/Charge", order, 56, pay + 8, CLIENT, "payment failed" if fail else ""), 58, pay, SERVER,
                 "card declined" if fail else "", attributes={"rpc.system": "grpc", "payment.provider": "acme", "amount": 42.5}, **({"events": [
                     {"timeUnixNano": str(start + (58 + pay - 2) * MS), "name": "exception", "attributes": attributes({
                         "exception.type": "Declined", "exception.message": "card declined", "exception.stacktrace": "charge.c:88\nserver.c:12"})}]} if fail else {}))
    m.add("payment", "risk", paid, 60, pay - 12)
    sent = m.add("shop", "orders publish", order, 70 + pay, 3, PRODUCER, attributes={"messaging.system": "kafka"})
    m.add("mail", "orders process", sent, 76 + pay, 30, CONSUMER, attributes={"messaging.system": "kafka"})
    return m.request()


def large(trace, start, count, services=12, fanout=10):
    """A tree of so many spans: each but the leaves has `fanout` below it, within its own time."""
    groups = {f"service-{k:02}": [] for k in range(services)}
    names = list(groups)
    places = [(0, 10_000_000_000, 0)]  # start, length, depth of each span, parents first
    for i in range(count):
        if i:
            p = (i - 1) // fanout
            at, length, depth = places[p]
            step = length // (fanout + 1)
            k = (i - 1) % fanout
            places.append((at + step * k + step // 10, max(1000, step - step // 5), depth + 1))
        at, length, depth = places[i]
        one = {"traceId": trace, "spanId": f"{i + 1:016x}", "parentSpanId": f"{(i - 1) // fanout + 1:016x}" if i else "", "name": f"operation {i % 97}",
               "kind": 1 + i % 3, "startTimeUnixNano": str(start + at), "endTimeUnixNano": str(start + at + length),
               "attributes": attributes({"index": i, "http.route": f"/things/{i % 50}", "thread.name": f"worker-{i % 8}", "depth": depth})}
        if i % 997 == 1:
            one["status"] = {"code": 2, "message": "it failed"}
        groups[names[(depth * 5 + i % 3) % services]].append(one)
    return {"resourceSpans": [{"resource": {"attributes": attributes({"service.name": service})},
                               "scopeSpans": [{"scope": {"name": "shapes"}, "spans": spans}]} for service, spans in groups.items() if spans]}


EVIL = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"


def hostile(trace, start):
    """What a client may send: markup, scripts as links, a megabyte, 10,000 levels, times that cannot be."""
    m = Maker(trace, start)
    root = m.add("evil <b>service</b>", EVIL, "", 0, 100, SERVER, EVIL, attributes={
        EVIL: EVIL, "link": "javascript:document.title='owned'", "data": "data:text/html,<script>1</script>", "good": "https://example.org/x", "long": "x" * 1_000_000,
        "list": [1, "two", [3.5, True]], "null\u0000byte": "a\u0000b\u202egnirts", "empty": ""},
        events=[{"timeUnixNano": str(start - 5 * MS), "name": EVIL, "attributes": attributes({EVIL: EVIL})}, {"timeUnixNano": str(2 ** 63), "name": "far"}])
    m.add("evil <b>service</b>", "takes no time", root, 5, 0)
    m.add("evil <b>service</b>", "ends before it begins", root, 50, -20)
    m.add("other", "begins before its parent", root, -30, 40)
    m.add("other", "has no parent here", "00000000000fffff", 10, 20)
    m.add("other", "is its own parent", f"{m.next:016x}", 11, 1)
    m.add("other", "twice", root, 12, 1)
    m.services["other"].append({**m.services["other"][-1], "name": "twice again"})
    above = root
    for k in range(10_000):
        above = m.add("deep", f"level {k}", above, 20, 60)
    return m.request()


def far(trace):
    """Times at both ends of what 64 bits hold."""
    m = Maker(trace, 0)
    root = m.add("clock", "since 1970", "", 0, 1)
    m.services["clock"][0]["endTimeUnixNano"] = str(2 ** 63)
    m.add("clock", "the end of time", root, 0, 1)
    m.services["clock"][1].update(startTimeUnixNano=str(2 ** 63 - 1000), endTimeUnixNano=str(2 ** 63))
    return m.request()


def post(url, request, at_once=4000):
    """Sends to an OTLP listener, so many spans of a service at once; they are there when it returns."""
    for group in request["resourceSpans"]:
        (scope,) = group["scopeSpans"]
        for k in range(0, len(scope["spans"]), at_once):
            part = {"resourceSpans": [{**group, "scopeSpans": [{**scope, "spans": scope["spans"][k:k + at_once]}]}]}
            answer = requests.post(url + "/v1/traces", data=json.dumps(part), headers={"Content-Type": "application/json"}, timeout=120)
            assert answer.status_code == 200 and not answer.json().get("partialSuccess"), f"{answer.status_code} {answer.text[:300]}"
