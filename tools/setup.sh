#!/bin/sh
# Makes $VENV (.venv) with the versions of constraints.txt. Needs Python 3.11 to 3.13 and the network: no root, no pip
# and not Debian's python3-venv. Writes nothing outside the checkout but pip's own cache.
set -eu
CDPATH='' cd -- "$(dirname -- "$0")/.."
exec >&2 # all of this is progress

VENV=${VENV:-.venv}
state=$VENV/.tenuto-setup # written first as "unfinished", last as what the folder was made from
unset PYTHONPATH PYTHONHOME # a caller's modules must not answer for ours
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_USER=0

say() { printf 'setup: %s\n' "$*"; }
die() {
  printf 'setup: %s\n' "$@"
  exit 1
}
again() { # mirrors and indexes hiccup
  for pause in 5 20; do
    "$@" && return
    say "that failed; again in $pause seconds"
    sleep "$pause"
  done
  "$@"
}

# --- which Python

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; }
if [ -n "${PYTHON:-}" ]; then
  set -- "$PYTHON"
else # `make PYTHON=python3.12 setup` holds for the `make test` after it
  set -- "$(readlink -f "$VENV/bin/python")" python3.13 python3.12 python3.11 python3
fi
for python; do # the message names the last one tried: what the caller named, or the machine's own
  if suits "$python"; then break; fi
done
suits "$python" || die "Tenuto needs Python 3.11, 3.12 or 3.13; $python says: $("$python" --version 2>&1)" \
  'Name one: make setup PYTHON=/path/to/python3.12. Debian 12 and 13 have one: apt-get install python3'

# --- what is there already

mkdir -p .cache
if command -v flock >/dev/null; then # two makes in one checkout
  exec 9>.cache/setup.lock
  flock -n 9 || { say 'another setup is at work here; waiting for it' && flock 9; }
fi
home="$("$python" -c 'import sys; print(sys.version_info[:2], sys.base_prefix)') $(pwd -P)"
wanted="$home
$(cksum pyproject.toml constraints.txt tools/setup.sh)
$(grep '^__version__' src/tenuto/__init__.py)"
made=$(cat "$state" 2>/dev/null) || made=
"$VENV/bin/python" -c 'from importlib.util import find_spec; assert find_spec("tenuto") and find_spec("pytest")' \
  2>/dev/null || made=
case $made in
"$wanted") say "$VENV is up to date" && exit ;;
"$home"*) say "bringing $VENV up to date" && echo unfinished >"$state" ;;
*) # interrupted, moved with its checkout, or of another Python: a package may be there by half, so all is made anew
  case $VENV in .venv | .venv-*) ;; *)
    [ -e "$state" ] || rmdir "$VENV" 2>/dev/null || [ ! -e "$VENV" ] ||
      die "$VENV was not made by this script, which would remove it. Remove it yourself, or name another: make setup VENV=…"
    ;;
  esac
  say "making $VENV with $("$python" --version)"
  rm -rf "$VENV"
  mkdir -p "$VENV"
  echo unfinished >"$state"
  "$python" -m venv --without-pip "$VENV" ||
    die "$python has no working venv module. On Debian: apt-get install python3 (python3-minimal is too little)"
  ;;
esac

# --- pip: what there is (ensurepip, or Debian's wheel, fetched with package lists of our own) fetches the one we name

borrowed=$PWD/.cache/debian
fetch_wheel() { # a bare machine has no package lists, and a user may not write the machine's
  set -- apt-get -q -o "Dir::State=$borrowed" -o "Dir::State::Lists=$borrowed/lists" -o "Dir::Cache=$borrowed" \
    -o Dir::State::Status=/var/lib/dpkg/status -o APT::Sandbox::User= -o Acquire::Languages=none
  rm -rf "$borrowed"
  mkdir -p "$borrowed/lists/partial" "$borrowed/archives/partial"
  "$@" update || say 'some package lists did not come; perhaps those that did are enough'
  (cd "$borrowed" && "$@" download python3-pip-whl && dpkg -x python3-pip-whl_*.deb .)
}
if ! "$VENV/bin/python" -m pip --version >/dev/null 2>&1 && ! "$VENV/bin/python" -m ensurepip >/dev/null 2>&1; then
  wheels=/usr/share/python-wheels
  if ! ls $wheels/pip-*.whl >/dev/null 2>&1; then
    wheels=$borrowed$wheels
    say 'this Python has no ensurepip: fetching python3-pip-whl from the distribution'
    if ! command -v apt-get >/dev/null || ! again fetch_wheel; then
      die 'pip is missing, and neither ensurepip nor apt-get download python3-pip-whl could bring it.' \
        'As root: apt-get install python3-venv. Without: another Python, make setup PYTHON=/path/to/python3.12'
    fi
  fi
  for wheel in "$wheels"/pip-*.whl; do :; done # the newest, should there be two
fi
no_package() {
  die 'pip could not fetch or install what is named above.' \
    'Is there a network, a proxy to name in https_proxy, a package ca-certificates? Then run make setup again.'
}
again env PYTHONPATH="${wheel:-}" "$VENV/bin/python" -m pip install ${wheel:+--ignore-installed} \
  -c constraints.txt pip || no_package

# --- the project

again "$VENV/bin/python" -m pip install -c constraints.txt --build-constraint constraints.txt -e '.[dev]' || no_package
"$VENV/bin/python" -m pip check || die 'constraints.txt and pyproject.toml do not agree'
printf '%s\n' "$wanted" >"$state"
say "$VENV is ready"
