#!/bin/sh
# peers.sh - builds the peers that Debian does not have, or has too old, into .cache/peers/bin:
#
#   h2spec     checks an HTTP/2 server against RFC 9113 and RFC 7541
#   jaeger     Jaeger 1.76, all in one, which decodes our spans
#   jaeger2    Jaeger 2.20, which keeps its traces with us (without its web pages; from GitHub)
#   collector  the OpenTelemetry Collector with OTLP in and out (tests/e2e/programs/collector)
#   promtool   of Prometheus 3, which reads the exposition formats that Debian's does not
#   prometheus of the same version, which scrapes them; its web pages in .cache/peers/ui (if npm is there)
#   victoria-metrics  single-node, beside which the observatory's speed is measured
#
# and keeps Prometheus's test scripts of PromQL in .cache/peers/promqltest.
#
# Debian's Go is too old for them, so it only fetches a current one as a module. Everything lies
# below .cache/peers and is built once; removing a binary builds it again.
set -eu
cd "$(dirname "$0")/.."

GO_VERSION=1.26.6
H2SPEC=github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible
JAEGER=github.com/jaegertracing/jaeger@v1.76.0
JAEGER2=v2.20.0
PROMETHEUS=github.com/prometheus/prometheus@v0.315.0
VICTORIA=github.com/VictoriaMetrics/VictoriaMetrics@v1.150.0

top=$PWD/.cache/peers
bin=$top/bin
mkdir -p "$bin" "$top/work"
export GOPATH="$top/gopath" GOCACHE="$top/gocache" GOBIN="$bin" CGO_ENABLED=0
export GOTOOLCHAIN=local GOWORK=off GOFLAGS='-modcacherw -trimpath -buildvcs=false'

# The folder in which `go mod download` left a module.
module_dir() {
    (cd "$top/work" && "$1" mod download -json "$2") | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p'
}

current_go() {
    go=$top/go/bin/go
    [ -x "$go" ] && "$go" version | grep -q "go$GO_VERSION " && return
    printf 'peers: fetching Go %s\n' "$GO_VERSION"
    dir=$(GOFLAGS='-mod=mod -modcacherw' module_dir go "golang.org/toolchain@v0.0.1-go$GO_VERSION.linux-$(dpkg --print-architecture)")
    [ -n "$dir" ] || { echo 'peers: the Go toolchain could not be fetched; is proxy.golang.org reachable?' >&2; exit 1; }
    rm -rf "$top/go.new"
    cp -r "$dir" "$top/go.new"
    chmod -R u+w "$top/go.new"
    chmod +x "$top/go.new"/bin/* "$top/go.new"/pkg/tool/*/*
    rm -rf "$top/go"
    mv "$top/go.new" "$top/go"
}

if [ ! -x "$bin/h2spec" ]; then
    current_go
    echo 'peers: building h2spec'
    (cd "$top/work" && "$go" install "$H2SPEC")
fi
if [ ! -x "$bin/promtool" ] || [ ! -x "$bin/prometheus" ] || [ ! -d "$top/promqltest" ]; then
    current_go
    echo 'peers: building prometheus and promtool (some minutes)'
    dir=$(module_dir "$go" "$PROMETHEUS")
    rm -rf "$top/prometheus"
    cp -r "$dir" "$top/prometheus"
    chmod -R u+w "$top/prometheus"
    # Its go.mod has replace directives, which `go install MODULE@VERSION` refuses.
    cp -r "$top/prometheus/promql/promqltest/testdata" "$top/promqltest"
    for tool in prometheus promtool; do
        [ -x "$bin/$tool" ] || (cd "$top/prometheus" && "$go" build -ldflags='-s -w' -o "$bin/$tool" "./cmd/$tool")
    done
    rm -rf "$top/prometheus"
fi
if [ ! -x "$bin/jaeger" ] || [ ! -x "$bin/collector" ]; then
    current_go
    echo 'peers: building Jaeger and the Collector (some minutes)'
    dir=$(module_dir "$go" "$JAEGER")
    rm -rf "$top/jaeger"
    cp -r "$dir" "$top/jaeger"
    chmod -R u+w "$top/jaeger"
    # Jaeger is made of the Collector's modules: ours is built among them, by its go.sum.
    mkdir "$top/jaeger/cmd/collector-for-tests"
    cp tests/e2e/programs/collector/main.go "$top/jaeger/cmd/collector-for-tests/"
    (cd "$top/jaeger" && "$go" build -mod=mod -ldflags='-s -w' -o "$bin/jaeger" ./cmd/all-in-one &&
        "$go" build -mod=mod -ldflags='-s -w' -o "$bin/collector" ./cmd/collector-for-tests)
    rm -rf "$top/jaeger"
fi
# Its module's path has no /v2, so that no module proxy has it.
if [ ! -x "$bin/jaeger2" ]; then
    rm -rf "$top/jaeger2"
    if git clone -q --depth 1 --branch "$JAEGER2" https://github.com/jaegertracing/jaeger "$top/jaeger2"; then
        current_go
        echo 'peers: building Jaeger 2 (some minutes)'
        (cd "$top/jaeger2" && "$go" build -mod=mod -ldflags='-s -w' -o "$bin/jaeger2" ./cmd/jaeger)
    else
        echo 'peers: Jaeger 2 is left out: github.com cannot be reached' >&2
    fi
    rm -rf "$top/jaeger2"
fi
if [ ! -x "$bin/victoria-metrics" ]; then
    current_go
    echo 'peers: building VictoriaMetrics (some minutes)'
    dir=$(module_dir "$go" "$VICTORIA")
    rm -rf "$top/victoria"
    cp -r "$dir" "$top/victoria"
    chmod -R u+w "$top/victoria"
    # Its own zstd binding is C.
    (cd "$top/victoria" && CGO_ENABLED=1 "$go" build -mod=mod -ldflags='-s -w' -o "$bin/victoria-metrics" ./app/victoria-metrics)
    rm -rf "$top/victoria"
fi
# Prometheus's pages: its program takes them from below the folder it is started in. Without npm there are none.
if [ ! -d "$top/ui/prometheus/web/ui/static" ] && command -v npm >/dev/null; then
    current_go
    echo "peers: building Prometheus's web pages (some minutes)"
    dir=$(module_dir "$go" "$PROMETHEUS")
    rm -rf "$top/pages" "$top/ui/prometheus"
    mkdir -p "$top/pages" "$top/ui/prometheus/web/ui"
    cp -r "$dir/web/ui" "$dir/VERSION" "$top/pages/"
    chmod -R u+w "$top/pages"
    if npm install --silent --no-audit --no-fund --prefix "$top/pages/tools" pnpm@10 node@24 && (
        cd "$top/pages/ui"
        export PATH="$top/pages/tools/node_modules/.bin:$PATH"
        pnpm install --silent --frozen-lockfile && bash build_ui.sh --build-module >/dev/null && bash build_ui.sh --mantine-ui >/dev/null); then
        mv "$top/pages/ui/static" "$top/ui/prometheus/web/ui/"
    else
        echo "peers: Prometheus's web pages are left out: they could not be built" >&2
    fi
    rm -rf "$top/pages"
fi
# Two gigabytes of sources and objects that nobody reads again.
rm -rf "$top/gopath" "$top/gocache"
echo "peers: ready in $bin"
