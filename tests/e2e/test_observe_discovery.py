"""Service discovery: what `discover` prints for a configuration, beside what Prometheus finds.

Kubernetes is lib/kube_api.py, which both ask at once; files and DNS are real."""
import json
import os
import socket
import struct
import threading

import pytest
import requests

from conftest import BUILD
from lib.kube_api import KubeApi
from lib.observe import PROMETHEUS, Prometheus
from lib.wait import wait_for

DISCOVER = os.path.join(BUILD, "tests", "e2e", "programs", "discover")
STEEL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "data", "hackathon_steel",
                     "prometheus.yml")


def is_discoverys(label):
    """Whether a label is the discovery's own, not what the scrape manager adds to it."""
    return label == "__address__" or label.startswith("__meta_") or not (
        label.startswith("__") or label == "job")


class Discover:
    """A running `discover`; groups(job) is what it said last."""

    def __init__(self, spawn, folder, config, *flags, env=None):
        path = os.path.join(str(folder), "discover.yml")
        with open(path, "w", encoding="utf-8") as f:
            f.write(config if isinstance(config, str) else json.dumps(config))
        self.process = spawn(DISCOVER, path, *flags, env=env)

    def lines(self, job):
        said = [json.loads(line) for line in self.process.stdout().splitlines()
                if line.startswith("{") and line.endswith("}")]
        return [line for line in said if line["job"] == job]

    def groups(self, job):
        said = self.lines(job)
        return said[-1]["groups"] if said else None

    def targets(self, job):
        """Every target as its labels, sorted."""
        return flat({"__address__": t, **g["labels"]}
                    for g in self.groups(job) or [] for t in g["targets"])

    def addresses(self, job):
        return sorted(t["__address__"] for t in self.targets(job))


def flat(targets):
    return sorted(targets, key=lambda t: json.dumps(t, sort_keys=True))


def peers_targets(peer, job):
    """Prometheus's own, without what its scrape manager adds."""
    found = requests.get(f"http://{peer.address}/api/v1/targets?state=any", timeout=10).json()["data"]
    targets = [t["discoveredLabels"] for t in found["activeTargets"] + found["droppedTargets"]]
    return flat({k: v for k, v in t.items() if is_discoverys(k)} for t in targets
                if t["job"] == job)


def different(mine, theirs):
    """The first target that only one of them has, as pairs of labels beside its nearest."""
    alone = [t for t in mine if t not in theirs], [t for t in theirs if t not in mine]
    if not any(alone):
        return [] if len(mine) == len(theirs) else [len(mine), len(theirs)]
    one, other = (side[0] if side else {} for side in alone)
    return sorted(set(one.items()) ^ set(other.items())) or ["twice"]


# ---- a small cluster

def meta(name, namespace="shop", **more):
    return {"name": name, **({"namespace": namespace} if namespace else {}), **more}


def container(name, *ports, image="img:1"):
    return {"name": name, "image": image,
            **({"ports": [{"name": n, "containerPort": p, "protocol": "TCP"} for n, p in ports]}
               if ports else {})}


def pod(name, ip, node="n1", phase="Running", namespace="shop", **more):
    return {
        "metadata": meta(name, namespace, uid="uid-" + name, labels={"app": "web", "a.b/c-d": "x"},
                         annotations={"prometheus.io/scrape": "true", "ünï": "é"},
                         ownerReferences=[
                             {"apiVersion": "v1", "kind": "Other", "name": "o", "uid": "1"},
                             {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "rs",
                              "uid": "2", "controller": True}]),
        "spec": {"nodeName": node,
                 "containers": [container("main", ("http", 80), ("metrics", 9090)),
                                container("side")],
                 "initContainers": [container("init", ("boot", 7000))], **more},
        "status": {"phase": phase, "podIP": ip, "hostIP": "10.0.0.1",
                   "conditions": [{"type": "Initialized", "status": "True"},
                                  {"type": "Ready", "status": "True"}],
                   "containerStatuses": [{"name": "main", "containerID": "docker://1", "image": "i",
                                          "imageID": "", "ready": True, "restartCount": 0}],
                   "initContainerStatuses": [{"name": "init", "containerID": "docker://2",
                                              "image": "i", "imageID": "", "ready": True,
                                              "restartCount": 0}]}}


def node(name, **addresses):
    return {"metadata": meta(name, None, labels={"zone": "z1", "kubernetes.io/os": "linux"},
                             annotations={"note": "n"}),
            "spec": {"providerID": "cloud://" + name},
            "status": {"conditions": [{"type": "Ready", "status": "True"},
                                      {"type": "MemoryPressure", "status": "Unknown"}],
                       "addresses": [{"type": t, "address": a} for t, a in addresses.items()],
                       "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}}}}


def reference(name, kind="Pod", namespace="shop"):
    return {"kind": kind, "name": name, **({"namespace": namespace} if namespace else {})}


def fill(api):
    for name in ("shop", "other"):
        api.put("namespaces", {"metadata": meta(name, None, labels={"team": name},
                                                annotations={"mail": name + "@x"})})
    api.put("nodes", node("n1", InternalIP="10.0.0.1", Hostname="n1.local", ExternalIP="2001:db8::1"))
    api.put("nodes", node("n2", Hostname="n2.local"))
    api.put("pods", pod("p1", "10.1.0.1"))
    api.put("pods", pod("p2", "fd00::2", node="n2"))
    api.put("pods", pod("waits", "", phase="Pending"))
    api.put("pods", pod("far", "10.1.0.9", node="gone", namespace="other"))
    api.put("services", {
        "metadata": meta("web", labels={"svc": "web"}, annotations={"s/t": "u"}),
        "spec": {"type": "LoadBalancer", "clusterIP": "10.9.0.1", "loadBalancerIP": "9.9.9.9",
                 "ports": [{"name": "http", "port": 80, "protocol": "TCP"},
                           {"name": "dns", "port": 53, "protocol": "UDP"}],
                 "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"]},
        "status": {"loadBalancer": {"ingress": [{"ip": "1.1.1.1"}, {"hostname": "h"},
                                                {"ip": "2.2.2.2"}]}}})
    api.put("services", {
        "metadata": meta("ext", "other"),
        "spec": {"type": "ExternalName", "externalName": "example.org",
                 "ports": [{"port": 443, "protocol": "TCP"}]}})
    api.put("endpoints", {
        "metadata": meta("web", labels={"ep": "1"}),
        "subsets": [{"addresses": [{"ip": "10.1.0.1", "nodeName": "n1", "hostname": "h1",
                                    "targetRef": reference("p1")},
                                   {"ip": "10.0.0.1", "targetRef": reference("n1", "Node", None)}],
                     "notReadyAddresses": [{"ip": "fd00::2", "targetRef": reference("p2")}],
                     "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]}]})
    api.put("endpointslices", {
        "metadata": meta("web-1", labels={"kubernetes.io/service-name": "web"}),
        "addressType": "IPv4",
        "endpoints": [{"addresses": ["10.1.0.1"], "hostname": "h1", "nodeName": "n1", "zone": "z1",
                       "conditions": {"ready": True, "serving": True, "terminating": False},
                       "deprecatedTopology": {"kubernetes.io/hostname": "n1"},
                       "targetRef": reference("p1")},
                      {"addresses": ["10.1.0.77", "10.1.0.78"], "conditions": {"ready": False}}],
        "ports": [{"name": "http", "port": 80, "protocol": "TCP", "appProtocol": "http"},
                  {"name": "any", "protocol": "TCP"}]})
    api.put("endpointslices", {
        "metadata": meta("web-2", labels={"kubernetes.io/service-name": "web"}),
        "addressType": "IPv6",
        "endpoints": [{"addresses": ["fd00::2"], "conditions": {}, "targetRef": reference("p2")}],
        "ports": [{"name": "http", "port": 80, "protocol": "TCP"}]})
    api.put("ingresses", {
        "metadata": meta("in", labels={"i": "j"}),
        "spec": {"ingressClassName": "nginx",
                 "tls": [{"hosts": ["*.secure.org", "a.org"]}],
                 "rules": [{"host": "x.secure.org",
                            "http": {"paths": [{"path": "/a", "pathType": "Prefix",
                                                "backend": {"service": {"name": "w"}}},
                                               {"pathType": "Prefix",
                                                "backend": {"service": {"name": "w"}}}]}},
                           {"host": "a.org"}, {"host": "secure.org"}]}})


def job(name, api, role, **more):
    # Targets that differ in nothing but meta labels would be one to Prometheus's scrape manager.
    return {"job_name": name, "scrape_interval": "1h", "scrape_timeout": "1s",
            "relabel_configs": [{"action": "labelmap", "regex": "__meta_(.+)"}],
            "kubernetes_sd_configs": [{"api_server": api.url, "role": role, **more}]}


ATTACH = {"attach_metadata": {"node": True, "namespace": True}}


def all_jobs(api):
    jobs = [job(role, api, role) for role in
            ("pod", "service", "endpoints", "endpointslice", "node", "ingress")]
    jobs += [job(role + "_attach", api, role, **ATTACH) for role in
             ("pod", "endpoints", "endpointslice")]
    jobs += [job(role + "_attach", api, role, attach_metadata={"namespace": True}) for role in
             ("service", "ingress")]
    jobs.append(job("two_namespaces", api, "pod", namespaces={"names": ["shop", "other"]}))
    jobs.append(job("selected", api, "pod",
                    selectors=[{"role": "pod", "label": "app=web", "field": "metadata.name=p1"}]))
    jobs.append(job("selected_nodes", api, "pod", **ATTACH,
                    selectors=[{"role": "node", "field": "metadata.name=n2"}]))
    return {"scrape_configs": jobs}


@pytest.mark.skipif(not os.path.exists(PROMETHEUS), reason="no Prometheus; run scripts/peers.sh")
def test_kubernetes_targets_are_those_of_prometheus(spawn, tmp_path):
    with KubeApi() as api:
        fill(api)
        config = all_jobs(api)
        names = [j["job_name"] for j in config["scrape_configs"]]
        ours = Discover(spawn, tmp_path, config)
        peer = Prometheus(spawn, tmp_path, json.dumps(config))

        def same():
            for name in names:
                mine, theirs = ours.targets(name), peers_targets(peer, name)
                assert theirs, name
                assert different(mine, theirs) == [], name
            return True
        wait_for(same, 40, "the same targets")
        # The world changes; both see it by their watches.
        changed = pod("p1", "10.1.0.1")
        changed["metadata"]["labels"]["app"] = "web2"
        changed["status"]["phase"] = "Succeeded"
        api.put("pods", changed)
        api.put("pods", pod("p3", "10.1.0.3"))
        api.delete("services", "other", "ext")
        api.put("namespaces", {"metadata": meta("shop", None, labels={"team": "new"})})
        wait_for(lambda: any(t.get("__meta_kubernetes_pod_name") == "p3" for t in
                             peers_targets(peer, "pod")), 30, "Prometheus sees the new pod")
        # Prometheus looks at a slice again when it, not when a pod of it changes.
        for part in ("web-1", "web-2"):
            api.put("endpointslices", api.items["endpointslices"]["shop", part])
        api.put("endpoints", api.items["endpoints"]["shop", "web"])
        names.remove("selected") # p1 has another label now: nothing is left
        wait_for(same, 40, "the same targets after changes")
        wait_for(lambda: ours.targets("selected") == [], 20)


def test_watches_go_on_after_bookmarks_ends_and_expiry(spawn, tmp_path):
    with KubeApi() as api:
        for i in range(7):
            api.put("pods", pod(f"p{i}", f"10.1.0.{i + 1}"))
        api.page_limit = 3
        api.fail_lists = 1
        ours = Discover(spawn, tmp_path, {"scrape_configs": [job("pod", api, "pod")]})
        found = lambda: {t["__meta_kubernetes_pod_name"] for t in ours.targets("pod")}
        wait_for(lambda: found() == {f"p{i}" for i in range(7)}, 20)
        wait_for(lambda: api.watching("pods"))
        api.bookmark()
        marked = str(api.version)
        api.end_watches()
        wait_for(lambda: any(q.get("resourceVersion") == marked and "watch" in q
                             for _, q, _ in api.requests), 20, "a watch from the bookmark")
        wait_for(lambda: api.watching("pods"))
        api.expire_watches()
        wait_for(lambda: not api.watching("pods"))
        with api.lock: # while nobody watches: only another list can tell
            del api.items["pods"]["shop", "p0"]
        wait_for(lambda: "p0" not in found(), 30, "the pod that vanished unseen")
        api.gone_watches = 1
        api.end_watches()
        wait_for(lambda: api.gone_watches == 0, 20)
        wait_for(lambda: api.watching("pods"), 20)
        api.put("pods", pod("late", "10.1.0.99"))
        wait_for(lambda: "late" in found(), 20)
        first = next(q for p, q, _ in api.requests if p == "/api/v1/pods")
        assert "limit" in first


def test_an_api_that_is_not_there_is_waited_for(spawn, tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{s.getsockname()[1]}"
    config = {"scrape_configs": [
        {"job_name": "k", "kubernetes_sd_configs": [{"role": "pod", "api_server": url}]},
        {"job_name": "pod", "kubernetes_sd_configs": [{"role": "pod"}]},
        {"job_name": "s", "static_configs": [{"targets": ["a:1"]}]}]}
    ours = Discover(spawn, tmp_path, config, env={"KUBERNETES_SERVICE_HOST": ""})
    wait_for(lambda: ours.addresses("s") == ["a:1"])
    wait_for(lambda: "failed to list *v1.Pod" in ours.process.stderr())
    assert ours.groups("k") == []
    assert "unable to load in-cluster configuration" in ours.process.stderr()
    assert ours.process.child.poll() is None


@pytest.mark.skipif(not os.path.exists(STEEL), reason="no such acceptance file here")
def test_an_old_configuration_starts_without_its_cluster(spawn, tmp_path):
    with open(STEEL, encoding="utf-8") as f:
        ours = Discover(spawn, tmp_path, f.read())
    wait_for(lambda: "shipping-collector" in ours.process.stdout())
    assert ours.process.child.poll() is None


def test_kubeconfig_files(spawn, tmp_path):
    with KubeApi(token="secret") as api:
        api.put("pods", pod("p", "10.1.0.1"))
        (tmp_path / "token").write_text("secret\n")
        user = {"tokenFile": "token"}

        def write(name, user):
            (tmp_path / name).write_text(json.dumps({
                "apiVersion": "v1", "kind": "Config", "current-context": "c",
                "contexts": [{"name": "c", "context": {"cluster": "l", "user": "u"}}],
                "clusters": [{"name": "l", "cluster": {"server": api.url}}],
                "users": [{"name": "u", "user": user}]}))
            return {"job_name": name, "kubernetes_sd_configs": [
                {"role": "pod", "kubeconfig_file": name}]}
        jobs = [write("good", user), write("wrong", {"token": "other"}),
                write("exec", {"exec": {"command": "aws"}})]
        ours = Discover(spawn, tmp_path, {"scrape_configs": jobs})
        wait_for(lambda: ours.addresses("good") == ["10.1.0.1"] * 1 + ["10.1.0.1:7000"] +
                 ["10.1.0.1:80", "10.1.0.1:9090"])
        wait_for(lambda: "401 Unauthorized" in ours.process.stderr())
        assert "user 'u' has 'exec', which is not supported" in ours.process.stderr()


# ---- files

def test_files_are_read_when_they_change(spawn, tmp_path):
    (tmp_path / "sd").mkdir()
    a, b = tmp_path / "sd" / "a.json", tmp_path / "sd" / "b.yml"
    a.write_text('[{"targets": ["a:1"], "labels": {"x": "y"}}]')
    config = {"scrape_configs": [{"job_name": "f", "file_sd_configs": [
        {"files": ["sd/*.json", "sd/*.yml"], "refresh_interval": "1h"}]}]}
    ours = Discover(spawn, tmp_path, config)
    wait_for(lambda: ours.targets("f") == [{"__address__": "a:1", "x": "y",
                                            "__meta_filepath": str(a)}])
    b.write_text("- targets: [b:1, b:2]\n")
    wait_for(lambda: ours.addresses("f") == ["a:1", "b:1", "b:2"])
    a.write_text('[{"targets": ["a:1"], "lab')
    wait_for(lambda: "Error reading file" in ours.process.stderr())
    b.unlink()
    wait_for(lambda: ours.addresses("f") == ["a:1"])
    other = tmp_path / "new"
    other.write_text('[{"targets": ["c:1"]}]')
    os.rename(other, a)
    wait_for(lambda: ours.addresses("f") == ["c:1"])


# ---- DNS

class NameServer:
    """Answers UDP questions from `records`: (name, type) to a list of record data; None: SERVFAIL."""

    def __init__(self):
        self.records = {}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                question, peer = self.socket.recvfrom(4096)
            except OSError:
                return
            at, labels = 12, []
            while question[at]:
                labels.append(question[at + 1:at + 1 + question[at]].decode())
                at += 1 + question[at]
            kind = struct.unpack(">H", question[at + 1:at + 3])[0]
            found = self.records.get((".".join(labels), kind), [])
            code = 2 if found is None else 0 if found else 3
            found = found or []
            head = question[:2] + struct.pack(">HHHHH", 0x8180 | code, 1, len(found), 0, 0)
            body = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 60, len(d)) + d
                            for d in found)
            self.socket.sendto(head + question[12:at + 5] + body, peer)


def name(text):
    return b"".join(bytes([len(p)]) + p.encode() for p in text.split(".")) + b"\0"


def test_names_keep_their_targets_while_servers_fail(spawn, tmp_path):
    server = NameServer()
    server.records = {
        ("_http._tcp.x.test", 33): [struct.pack(">HHH", 1, 2, 8080) + name("h1.x.test"),
                                    struct.pack(">HHH", 1, 2, 8081) + name("h2.x.test")],
        ("a.test", 1): [bytes([10, 0, 0, 1]), bytes([10, 0, 0, 2])],
        ("a.test", 28): [bytes.fromhex("20010db8000000000000000000000001")],
        ("m.test", 15): [struct.pack(">H", 5) + name("mail.test")],
        ("m.test", 2): [name("ns.test")]}
    jobs = [("srv", "_http._tcp.x.test", "SRV"), ("a", "a.test", "A"), ("aaaa", "a.test", "AAAA"),
            ("mx", "m.test", "MX"), ("ns", "m.test", "NS"), ("none", "none.test", "A")]
    config = {"scrape_configs": [{"job_name": j, "dns_sd_configs": [
        {"names": [n], "type": t, "port": 9, "refresh_interval": "1s"}]} for j, n, t in jobs]}
    ours = Discover(spawn, tmp_path, config, "--name-servers", server.address)
    wait_for(lambda: ours.targets("srv") == [
        {"__address__": f"h{i}.x.test:{8079 + i}", "__meta_dns_name": "_http._tcp.x.test",
         "__meta_dns_srv_record_target": f"h{i}.x.test.",
         "__meta_dns_srv_record_port": str(8079 + i)} for i in (1, 2)])
    wait_for(lambda: ours.addresses("a") == ["10.0.0.1:9", "10.0.0.2:9"])
    wait_for(lambda: ours.addresses("aaaa") == ["[2001:db8::1]:9"])
    wait_for(lambda: ours.targets("mx") == [
        {"__address__": "mail.test:9", "__meta_dns_name": "m.test",
         "__meta_dns_mx_record_target": "mail.test."}])
    wait_for(lambda: ours.targets("ns") == [
        {"__address__": "ns.test:9", "__meta_dns_name": "m.test",
         "__meta_dns_ns_record_target": "ns.test."}])
    assert ours.addresses("none") == []
    server.records["a.test", 1] = None
    server.records["a.test", 28] = []
    wait_for(lambda: ours.addresses("aaaa") == [], 20, "the name that has gone")
    wait_for(lambda: "the name servers answered with an error" in ours.process.stderr(), 20)
    assert ours.addresses("a") == ["10.0.0.1:9", "10.0.0.2:9"]
