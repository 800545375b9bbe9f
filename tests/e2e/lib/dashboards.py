"""Dashboards of other projects, and something for them to show: an exporter that has a few series of
every metric that their queries name, with the labels that they ask for."""
import json
import math
import os
import re
import time

from .exporter import Exporter

COMMUNITY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "data", "dashboards", "community")
NAMES = ("node-exporter-full", "kubernetes-views-pods", "redis-exporter", "strimzi-kafka-exporter", "argo-cd-legacy", "cloudnative-pg")


def read(name):
    with open(os.path.join(COMMUNITY, f"{name}.json"), encoding="utf-8") as f:
        return json.load(f)


def texts(node):
    """Every text of a dashboard that may be a query: targets' and variables'."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key in ("expr", "query", "definition", "legendFormat") and isinstance(value, str):
                yield key, value
            else:
                yield from texts(value)
    elif isinstance(node, list):
        for value in node:
            yield from texts(value)


SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\s*(?:\{([^}]*)\}|(?=\[))")
BARE = re.compile(r"\b([a-z][a-z0-9]*(?:_[a-z0-9]+){2,})\b(?!\s*[({=!~])")
MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')
GROUPS = re.compile(r"\b(?:by|on|group_left|group_right)\s*\(([^)]*)\)")
LABEL_VALUES = re.compile(r"label_values\(\s*([a-zA-Z_:][\w:]*)?(?:\{([^}]*)\})?[^,]*,\s*(\w+)\s*\)")
LE = ("0.1", "1", "+Inf")


def metrics_of(dashboard):
    """{metric: {label: the value that is asked for, or None}}"""
    found = {}
    legend = set()
    for key, text in texts(dashboard):
        if key == "legendFormat":
            legend |= set(re.findall(r"\{\{\s*(\w+)\s*\}\}", text))
    for key, text in texts(dashboard):
        if key == "legendFormat":
            continue
        grouped = {x.strip() for g in GROUPS.findall(text) for x in g.split(",") if re.fullmatch(r"\s*[a-z_]\w*\s*", x)}
        here = {}
        for name, inner in SELECTOR.findall(text):
            labels = here.setdefault(name, {})
            for label, op, value in MATCHER.findall(inner or ""):
                plain = value.split("|")[0].strip("()^$") if "$" not in value and not re.search(r"[.*+\\\[]", value) else None
                labels[label] = plain if op in ("=", "=~") and plain else labels.get(label)
        for name in BARE.findall(re.sub(r'"[^"]*"|\{[^}]*\}|\([^()]*\)(?=\s*\()', " ", text)):
            here.setdefault(name, {})
        for name, _, label in LABEL_VALUES.findall(text):
            if name:
                here.setdefault(name, {}).setdefault(label, None)
        for name, labels in here.items():
            for label in grouped | legend:
                labels.setdefault(label, None)
            old = found.setdefault(name, {})
            for label, value in labels.items():
                old[label] = old.get(label) or value
    return {n: l for n, l in found.items() if "_" in n and not n.startswith(("label_", "node_", "process_", "go_", "count_values", "histogram_", "group_"))}


def value_of(label, i):
    if label == "cluster":
        return "main"
    if label == "pod":
        return f"main-{i + 1}"
    return ("alpha", "beta")[i] if label not in ("namespace", "job") else "argocd-demo"


class Community(Exporter):
    """Serves them all; counters grow, the others swing. `metrics` is what metrics_of() says of all."""

    def __init__(self, names=NAMES):
        self.metrics = found = {}
        for name in names:
            for metric, labels in metrics_of(read(name)).items():
                found.setdefault(metric, {}).update({k: v for k, v in labels.items() if v or k not in found.get(metric, {})})
        began = time.time()
        lines = []
        for metric, labels in sorted(found.items()):
            for i in range(2):
                if metric.startswith("cnpg_"):
                    labels.setdefault("cluster", None)  # read out of whole series by a regular expression
                pairs = {k: v or value_of(k, i) for k, v in labels.items() if k not in ("instance", "__name__", "le")}
                for le in (LE if metric.endswith("_bucket") else ("",)):
                    all_ = {**pairs, **({"le": le} if le else {})}
                    lines.append((metric, "{" + ",".join(f'{k}="{v}"' for k, v in sorted(all_.items())) + "}", i, le))
        lines = sorted({(m, t): (m, t, i, le) for m, t, i, le in lines}.values())

        def page():
            t = time.time() - began
            out = []
            for metric, labels, i, le in lines:
                swing = 1 + i + math.sin(t / 20 + i + len(metric))
                grows = re.search(r"_(total|count|sum|bucket)$", metric)
                value = t * (1 + i) * (1 + LE.index(le) if le else 1) if grows else swing
                out.append(f"{metric}{labels} {value:.3f}")
            return "\n".join(out) + "\n"
        super().__init__(page)
