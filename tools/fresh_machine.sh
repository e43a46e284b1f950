#!/bin/sh
# Proves the promise of the README on a machine that has nothing: sudo tools/fresh_machine.sh SUITE [TARGET…]
# Makes a Debian SUITE (bookworm, trixie) with python3, make, git and certificates only, no pip, no venv, no package
# lists; and runs the make TARGETs (setup) there on a copy of this checkout, as a user without any right.
# Needs root and the package debootstrap. Mirror, certificates and pip's configuration are this machine's own.
set -eu
suite=${1:?usage: tools/fresh_machine.sh SUITE [TARGET…]}
self=$(readlink -f "$0")
if [ -z "${TENUTO_FRESH_ROOT:-}" ]; then
  [ "$(id -u)" = 0 ] || { echo 'fresh: needs root, to make a machine of its own' >&2 && exit 1; }
  command -v debootstrap >/dev/null || { echo 'fresh: apt-get install debootstrap first' >&2 && exit 4; }
  TENUTO_FRESH_ROOT=$(mktemp -d "${TMPDIR:-/tmp}/tenuto-fresh.XXXXXX")
  export TENUTO_FRESH_ROOT
  # Mounts and processes live in namespaces of their own: they end with it, so the removal cannot reach through them.
  unshare --mount --pid --fork --kill-child --mount-proc sh "$self" "$@" </dev/null &
  machine=$!
  trap 'kill -KILL $machine; wait $machine || exit 130' INT TERM HUP
  trap 'rm -rf --one-file-system "$TENUTO_FRESH_ROOT"' EXIT
  wait $machine
  exit
fi
shift
[ $# -gt 0 ] || set -- setup
root=$TENUTO_FRESH_ROOT
cd "$(dirname "$self")/.."
chmod 755 "$root"

timed() { # timed NAME COMMAND…
  name=$1 && shift
  begun=$(date +%s)
  "$@" && code=0 || code=$?
  echo "fresh: $suite: $name: exit $code after $(($(date +%s) - begun)) s"
  return "$code"
}

# --- the machine

mirror=$(apt-get indextargets 'Label: Debian' 'Created-By: Packages' | sed -n 's/^Site: //p' | head -n 1)
: "${mirror:?no Debian mirror in the apt sources of this machine; apt-get update may find it}"
bare_debian() { # some 300 lines, of interest only when it fails
  debootstrap --variant=minbase --include=python3,make,git,ca-certificates "$suite" "$root" "$mirror" \
    >"$root/said" 2>&1 || { tail -n 20 "$root/said" && return 1; }
}
timed debootstrap bare_debian
rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb
cp /etc/resolv.conf /etc/hosts "$root/etc/"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"

# --- the user, and what this machine reaches the world with: certificates, pip's settings, the folders they name

if ls /usr/local/share/ca-certificates/*.crt >/dev/null 2>&1; then
  cp /usr/local/share/ca-certificates/*.crt "$root/usr/local/share/ca-certificates/"
  chroot "$root" update-ca-certificates >/dev/null 2>&1
fi
home=$root/home/someone
chroot "$root" useradd --create-home someone
[ ! -f /etc/pip.conf ] || cp /etc/pip.conf "$root/etc/"
for file in "${PIP_CONFIG_FILE:-}" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" "$HOME/.pip/pip.conf"; do
  [ -f "$file" ] && mkdir -p "$home/.config/pip" && cp "$file" "$home/.config/pip/pip.conf" && break
done
reach=$(env | grep -E '^(PIP_|SSL_CERT_|REQUESTS_CA_BUNDLE=|CURL_CA_BUNDLE=|GIT_SSL_|(https?|no|all)_proxy=|(HTTPS?|NO|ALL)_PROXY=)' |
  grep -v '^PIP_CONFIG_FILE=') || reach=
{ cat "$root/etc/pip.conf" "$home/.config/pip/pip.conf" 2>/dev/null; echo "$reach"; } | grep -oE '(^|[ =]|://)/[^ ]+' | sed 's,^[^/]*/*,/,' | sort -u |
  while read -r path; do
    path=${path%/simple} # an index's pages point beside themselves
    if [ -d "$path" ] && [ ! -e "$root$path" ]; then
      mkdir -p "$root$path" && mount --bind "$path" "$root$path" && mount -o remount,bind,ro "$root$path"
    elif [ -f "$path" ] && [ ! -e "$root$path" ]; then
      mkdir -p "$root$(dirname "$path")" && cp "$path" "$root$path"
    fi
  done

# --- the checkout as it stands: HEAD's history with what is not committed yet laid over it

clone=$home/tenuto
git -c safe.directory='*' clone --quiet --no-hardlinks . "$clone" 2>/dev/null || mkdir -p "$clone"
find "$clone" -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +
git -c safe.directory='*' ls-files -z --cached --others --exclude-standard --deduplicate |
  tar --create --null --files-from - --ignore-failed-read 2>/dev/null | tar --extract --no-same-owner --directory "$clone"
chroot "$root" chown -R someone: /home/someone

# --- the proof

as_someone() {
  # shellcheck disable=SC2086 # one NAME=value a line; such values hold no blanks
  (IFS='
' && chroot --userspec=someone:someone --groups= "$root" env -i HOME=/home/someone USER=someone LANG=C.UTF-8 \
    PATH=/usr/local/bin:/usr/bin:/bin $reach sh -c 'cd ~/tenuto && exec "$@"' sh "$@")
}
if as_someone python3 -c 'import ensurepip' 2>/dev/null || as_someone sh -c 'command -v pip' >/dev/null; then
  echo 'fresh: this machine is not bare: it has ensurepip or pip' >&2 && exit 1
fi
failed=0
for target; do
  echo "== $suite: make $target"
  timed "make $target" as_someone make "$target" || failed=1
done
exit $failed
