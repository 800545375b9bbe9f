#!/bin/sh
# setup.sh - installs the Debian packages that a target needs and this machine lacks.
#
#   scripts/setup.sh SET...        sets are the first column of scripts/packages.txt
#
# Every make target calls it first, so that make and a shell are all a newcomer needs. When nothing
# is missing it asks dpkg once and is done within some milliseconds; it keeps no stamp that could go
# stale. It installs as root or through sudo, says what and why, and starts no daemon: for the time
# of the installation /usr/sbin/policy-rc.d answers 101, whatever was there before is put back.
#
# SEXTANT_SETUP=skip trusts the machine as it is (other distributions, read-only systems).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
list=$here/packages.txt
policy=/usr/sbin/policy-rc.d
kept=$policy.kept-by-sextant
mark='made by sextant/scripts/setup.sh'

say() { printf 'setup: %s\n' "$*"; }
die() {
    printf 'setup: %s\n' "$*" >&2
    exit 1
}

# As root: setup.sh --install PACKAGE...

# Also heals what a killed run left behind: our marker says that the file is ours.
restore_policy() {
    if [ -f "$policy" ] && grep -q "$mark" "$policy"; then
        rm -f "$policy"
    fi
    if [ -e "$kept" ] && [ ! -e "$policy" ]; then
        mv "$kept" "$policy"
    fi
}

forbid_daemons() {
    restore_policy
    if [ -e "$policy" ]; then
        mv "$policy" "$kept"
    fi
    printf '#!/bin/sh\n# %s: no daemon starts while packages are installed\nexit 101\n' "$mark" >"$policy"
    chmod 755 "$policy"
}

apt() {
    DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=600 \
        -o Dpkg::Use-Pty=0 -o Acquire::Retries=3 "$@" </dev/null >>"$log" 2>&1
}

lists_know() {
    for p; do
        apt-cache show "$p" >/dev/null 2>&1 || return 1
    done
}

fail_install() {
    tail -n 20 "$log" >&2
    die "the packages could not be installed (the whole log: $log). Try: apt-get update && apt-get install --no-install-recommends $*"
}

install_packages() {
    if [ -z "${SEXTANT_SETUP_LOCKED:-}" ] && command -v flock >/dev/null; then
        # One at a time: a second run would restore the policy under the first.
        SEXTANT_SETUP_LOCKED=1 exec flock /run/lock/sextant-setup.lock "$0" --install "$@"
    fi
    log=$(mktemp /tmp/sextant-setup.XXXXXX)
    trap restore_policy EXIT
    trap 'exit 130' INT TERM HUP
    forbid_daemons

    # Lists are fetched only if they do not know a package, or know one that is gone by now.
    if ! lists_know "$@"; then
        say 'fetching the package lists'
        apt update || fail_install "$@"
        apt install --no-install-recommends "$@" || fail_install "$@"
    elif ! apt install --no-install-recommends "$@"; then
        say 'the package lists look old; fetching them again'
        apt update || fail_install "$@"
        apt install --no-install-recommends "$@" || fail_install "$@"
    fi
    rm -f "$log"
}

if [ "${1:-}" = --install ]; then
    shift
    install_packages "$@"
    exit 0
fi

# As anyone: what is missing?

[ $# -gt 0 ] || die "usage: $0 SET...  (sets: $(awk '!/^#/ && NF {print $1}' "$list" | sort -u | tr '\n' ' '))"
[ "${SEXTANT_SETUP:-}" = skip ] && exit 0

wanted=$(awk -v sets=" $* " '!/^#/ && NF && index(sets, " " $1 " ") {print $2}' "$list" | sort -u)
[ -n "$wanted" ] || die "no packages are listed for '$*' in $list"
if ! command -v dpkg-query >/dev/null; then
    die "this machine has no dpkg. Install the equivalents of these Debian packages, then set SEXTANT_SETUP=skip:" $wanted
fi

installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null | sed -n 's/^installed //p')
missing=
for entry in $wanted; do
    package=${entry%%:*}
    case "
$installed
" in *"
$package
"*) continue ;; esac
    if [ "$package" != "$entry" ] && command -v "${entry#*:}" >/dev/null; then
        continue
    fi
    missing="$missing $package"
done
[ -n "$missing" ] || exit 0

say "installing from Debian, for '$*':"
for package in $missing; do
    awk -v p="$package" '!/^#/ {split($2, a, ":"); if (a[1] == p && !told++) {
        n = $2; $1 = $2 = ""; sub(/^ +/, ""); printf "    %-26s %s\n", p, $0}}' "$list"
done
started=$(date +%s)
if [ "$(id -u)" = 0 ]; then
    "$0" --install $missing
elif command -v sudo >/dev/null; then
    ask=
    [ -t 0 ] || ask=-n # without a terminal a password prompt would hang
    sudo $ask "$0" --install $missing ||
        die "sudo did not install them; as root: apt-get install --no-install-recommends$missing"
else
    die "neither root nor sudo; as root: apt-get install --no-install-recommends$missing"
fi
say "installed in $(($(date +%s) - started)) s"
