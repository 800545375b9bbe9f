#!/bin/sh
# nominatim_peer.sh - a real Nominatim 5.3.3 of our own, beside which our answers are compared.
#
#   nominatim_peer.sh install            PostgreSQL, PostGIS, osm2pgsql (Debian), Nominatim (PyPI)
#   nominatim_peer.sh import NAME FILE   imports an OSM file (PBF, XML, .gz, .bz2) and our phrases
#   nominatim_peer.sh start [NAME...]    PostgreSQL and one HTTP server for each import, or those named
#   nominatim_peer.sh stop [NAME...]     the servers named; without a name, all and PostgreSQL
#   nominatim_peer.sh list               name, URL, database, and whether it answers
#   nominatim_peer.sh sql NAME [ARG...]  psql in the database of an import
#   nominatim_peer.sh drop NAME          removes an import
#
# All of it lies below .cache/peers/nominatim; every setting is Nominatim's default (style extratags,
# ICU tokenizer, no wikipedia data, --offline). Each step may be repeated: what is there is kept.
# Everything listens on 127.0.0.1 only. In the environment:
#
#   NOMINATIM_PG_PORT    PostgreSQL's port (15433)
#   NOMINATIM_HTTP_PORT  the first HTTP port (18101): liechtenstein has it, andorra the next one,
#                        then monaco, broken-boundaries, moscow-cyrillic, others as they are imported
#   NOMINATIM_WORKERS    processes of each HTTP server (1)
#   NOMINATIM_THREADS    threads of an import (Nominatim's default)
set -eu
cd "$(dirname "$0")/.."
repository=$PWD
top=$(realpath -m .cache/peers/nominatim)
pg_port=${NOMINATIM_PG_PORT:-15433}
http_port=${NOMINATIM_HTTP_PORT:-18101}
workers=${NOMINATIM_WORKERS:-1}
pg_bin=/usr/lib/postgresql/15/bin
venv=$top/venv
phrases=$repository/data/phrases.csv
# In the order of their ports; a further import gets the next free one.
known='liechtenstein andorra monaco broken-boundaries moscow-cyrillic'
debian='postgresql-15 postgresql-15-postgis-3 osm2pgsql osmium-tool python3-venv python3-dev libicu-dev pkg-config g++'
python='nominatim-db==5.3.3 nominatim-api==5.3.3 falcon==4.4.0 uvicorn==0.54.0 SQLAlchemy==2.1.9 PyICU==2.17 psycopg[binary]'

say() { printf 'nominatim_peer: %s\n' "$*"; }
die() {
    printf 'nominatim_peer: %s\n' "$*" >&2
    exit 1
}

# PostgreSQL refuses to run as root, so that root runs it as Debian's user for it.
as_owner() {
    if [ "$(id -u)" = 0 ]; then
        (cd / && setpriv --reuid=postgres --regid=postgres --init-groups "$@")
    else
        "$@"
    fi
}
psql_in() { PGOPTIONS='-c client_min_messages=warning' psql -X -q -h 127.0.0.1 -p "$pg_port" -U postgres -d "$@"; }
database() { printf 'nominatim_%s' "$(printf %s "$1" | tr -c 'a-z0-9\n' _)"; }
project() { printf %s "$top/projects/$1"; }
imports() { for d in "$top"/projects/*/imported; do [ -e "$d" ] && basename "$(dirname "$d")"; done; return 0; }
running() { [ -s "$1" ] && kill -0 "$(head -n 1 "$1")" 2>/dev/null; }

port_of() {
    [ -s "$(project "$1")/offset" ] && { echo $((http_port + $(cat "$(project "$1")/offset"))); return; }
    offset=0
    for one in $known; do
        [ "$one" = "$1" ] && break
        offset=$((offset + 1))
    done
    # Not one of the known: behind them, and behind every other that has been imported.
    if [ "$offset" -ge 5 ]; then
        for taken in "$top"/projects/*/offset; do
            [ -s "$taken" ] && [ "$(cat "$taken")" -ge "$offset" ] && offset=$(($(cat "$taken") + 1))
        done
    fi
    mkdir -p "$(project "$1")"
    echo "$offset" > "$(project "$1")/offset"
    echo $((http_port + offset))
}

install_all() {
    missing=
    for package in $debian; do
        dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing="$missing $package"
    done
    if [ -n "$missing" ]; then
        [ "$(id -u)" = 0 ] || die "missing Debian packages: run as root: apt-get install$missing"
        say "installing$missing"
        apt-get install -y -q --no-install-recommends $missing >/dev/null ||
            die "apt-get failed: run apt-get update, then: apt-get install$missing"
    fi
    mkdir -p "$top/projects"
    if ! "$venv/bin/python" -c 'import nominatim_db, nominatim_api, falcon, uvicorn, psycopg, icu' 2>/dev/null; then
        say "installing Nominatim 5.3.3 into $venv"
        python3 -m venv "$venv"
        "$venv/bin/pip" install -q $python ||
            die 'pip failed: is the package index reachable (pip config get global.index-url)?'
    fi
    if [ ! -s "$top/pg/PG_VERSION" ]; then
        say "making a PostgreSQL cluster in $top/pg"
        mkdir -p "$top/pg"
        [ "$(id -u)" != 0 ] || chown postgres: "$top/pg"
        chmod 700 "$top/pg"
        as_owner "$pg_bin/initdb" -D "$top/pg" -A trust -U postgres -E UTF8 --locale=C.UTF-8 >/dev/null ||
            die "initdb failed: may the user postgres reach $top/pg (every folder above needs o+x)?"
    fi
    say 'installed'
}

start_database() {
    [ -s "$top/pg/PG_VERSION" ] || die 'there is no cluster yet: run scripts/nominatim_peer.sh install'
    if ! as_owner "$pg_bin/pg_ctl" -D "$top/pg" status >/dev/null 2>&1; then
        as_owner "$pg_bin/pg_ctl" -D "$top/pg" -w -t 60 -l "$top/pg/log" \
            -o "-p $pg_port -c listen_addresses=127.0.0.1 -c unix_socket_directories=''" start >/dev/null ||
            die "PostgreSQL did not start: see $top/pg/log; another port: NOMINATIM_PG_PORT=N"
        say "PostgreSQL started on port $pg_port"
    fi
    psql_in postgres -Atc "select 1 from pg_roles where rolname = 'www-data'" | grep -q 1 ||
        psql_in postgres -c 'create role "www-data" login'
}

# Nominatim takes its settings from the environment and runs in its project's folder.
in_project() {
    of=$1
    shift
    (cd "$(project "$of")" && PATH="$venv/bin:$PATH" \
        NOMINATIM_DATABASE_DSN="pgsql:dbname=$(database "$of");host=127.0.0.1;port=$pg_port;user=postgres" "$@")
}

import_into() {
    psql_in postgres -c "drop database if exists $(database "$1")" 2>/dev/null
    in_project "$1" nominatim import --osm-file "$2" --offline \
        ${NOMINATIM_THREADS:+--threads "$NOMINATIM_THREADS"} > "$(project "$1")/import.log" 2>&1
}

import_failed() {
    tail -n 3 "$(project "$1")/import.log" >&2
    die "the import of $1 failed: see $(project "$1")/import.log; then again, or with another file"
}

import_file() {
    [ $# = 2 ] || die 'usage: nominatim_peer.sh import NAME FILE'
    case $1 in '' | *[!a-z0-9-]*) die "'$1' is no name: lower-case letters, digits and - only" ;; esac
    [ -r "$2" ] || die "$2 cannot be read: give an OSM file (.osm.pbf, .osm, .osm.gz, .osm.bz2)"
    file=$(realpath "$2")
    [ -x "$venv/bin/nominatim" ] || install_all
    start_database
    if [ -e "$(project "$1")/imported" ]; then
        say "$1 is imported already (to import it again: nominatim_peer.sh drop $1)"
        return
    fi
    port_of "$1" >/dev/null
    say "importing $file as $1 (log: $(project "$1")/import.log)"
    begin=$(date +%s)
    if ! import_into "$1" "$file"; then
        # An extract as an editor saved it: osm2pgsql wants ascending ids.
        grep -q 'is not ordered' "$(project "$1")/import.log" || import_failed "$1"
        say 'its objects are not in the order of their ids: sorting them first'
        osmium sort -O -o "$(project "$1")/sorted.osm.pbf" "$file" 2>/dev/null ||
            die "osmium could not sort $file: apt-get install osmium-tool; is the file whole?"
        import_into "$1" "$(project "$1")/sorted.osm.pbf" || import_failed "$1"
    fi
    in_project "$1" nominatim special-phrases --import-from-csv "$phrases" >> "$(project "$1")/import.log" 2>&1 ||
        die "the phrases were not loaded: see $(project "$1")/import.log"
    printf '%s\n' "$file" > "$(project "$1")/imported"
    say "$1 imported in $(($(date +%s) - begin)) s"
}

answers() { python3 -c 'import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=5).read()' "$1" 2>/dev/null; }

start_one() {
    [ -e "$(project "$1")/imported" ] || die "$1 is not imported: run scripts/nominatim_peer.sh import $1 FILE"
    port=$(port_of "$1")
    if running "$(project "$1")/pid"; then
        say "$1 runs already: http://127.0.0.1:$port"
        return
    fi
    # In a session of its own, so that it outlives the shell; its pid is the one that stop ends. The shell that
    # waits for it has let go of our output: else whoever reads that would wait, too.
    (
        exec > "$(project "$1")/server.log" 2>&1 < /dev/null
        in_project "$1" setsid nice uvicorn --host 127.0.0.1 --port "$port" --workers "$workers" --no-access-log \
            --factory nominatim_api.server.falcon.server:run_wsgi
    ) &
    tries=0
    until answers "http://127.0.0.1:$port/status"; do
        tries=$((tries + 1))
        [ "$tries" -lt 100 ] || die "$1 does not answer on port $port: see $(project "$1")/server.log; other ports: NOMINATIM_HTTP_PORT=N"
        sleep 0.2
    done
    pgrep -o -f "uvicorn --host 127.0.0.1 --port $port " > "$(project "$1")/pid"
    say "$1 answers on http://127.0.0.1:$port"
}

stop_one() {
    if running "$(project "$1")/pid"; then
        kill "$(cat "$(project "$1")/pid")"
        tries=0 # it goes on for the requests it has
        while running "$(project "$1")/pid" && [ "$tries" -lt 50 ]; do
            tries=$((tries + 1))
            sleep 0.2
        done
        say "$1 stopped"
    fi
    rm -f "$(project "$1")/pid"
}

start() {
    start_database
    [ $# -gt 0 ] || set -- $(imports)
    for name in "$@"; do start_one "$name"; done
}

stop() {
    if [ $# -gt 0 ]; then
        for name in "$@"; do stop_one "$name"; done
        return
    fi
    for name in $(imports); do stop_one "$name"; done
    if as_owner "$pg_bin/pg_ctl" -D "$top/pg" status >/dev/null 2>&1; then
        as_owner "$pg_bin/pg_ctl" -D "$top/pg" -w -m fast stop >/dev/null
        say 'PostgreSQL stopped'
    fi
}

list() {
    for name in $(imports); do
        url=http://127.0.0.1:$(port_of "$name")
        state=stopped
        answers "$url/status" && state=answers
        printf '%s %s %s %s\n' "$name" "$url" "$(database "$name")" "$state"
    done
}

drop() {
    [ $# = 1 ] || die 'usage: nominatim_peer.sh drop NAME'
    start_database
    stop_one "$1"
    psql_in postgres -c "drop database if exists $(database "$1") with (force)"
    rm -f "$(project "$1")/imported"
    say "$1 dropped"
}

command=${1:-}
[ $# -eq 0 ] || shift
case $command in
install) install_all ;;
import) import_file "$@" ;;
start) start "$@" ;;
stop) stop "$@" ;;
list) list ;;
drop) drop "$@" ;;
sql)
    [ $# -ge 1 ] || die 'usage: nominatim_peer.sh sql NAME [psql arguments]'
    name=$(database "$1")
    shift
    psql_in "$name" "$@"
    ;;
*) sed -n '2,/^set -eu/s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
