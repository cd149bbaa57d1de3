#!/bin/sh
# Makes a fresh Debian 12 machine ready for `npm run demo` and `npm test`: system packages, npm packages (which bring
# the pinned Node 24), compiled contracts and the worker image. Every step is skipped when it is already done.
# Everything is said on stderr, so that a command after it in the same npm script keeps stdout to itself.
set -eu
exec 1>&2

cd "$(dirname -- "$0")/.."
# A plain user's PATH lacks the folders where Debian keeps runc and mkfs tools.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"
export PATH

NODE_MAJOR_MIN=20
# command:Debian package that brings it
TOOLS='swtpm:swtpm swtpm_setup:swtpm-tools swtpm_localca:swtpm-tools certtool:gnutls-bin runc:runc
  tpm2_quote:tpm2-tools mkfs.erofs:erofs-utils mmdebstrap:mmdebstrap tcpdump:tcpdump setpriv:util-linux flock:util-linux
  openssl:openssl'

say() { echo "setup: $*"; }

fail() {
  say "$@"
  exit 1
}

# run LABEL COMMAND...: says when the step starts and how long it took.
run() {
  label=$1
  shift
  say "$label ..."
  started_s=$(date +%s)
  "$@" || fail "$label failed (command: $*)"
  say "$label: done in $(($(date +%s) - started_s)) s"
}

check_platform() {
  [ "$(uname -s)" = Linux ] || fail "Linux is needed, this is $(uname -s)"
  case $(uname -m) in
    x86_64 | aarch64) ;;
    *) fail "x86_64 or aarch64 is needed, this is $(uname -m)" ;;
  esac
  for command in node npm; do
    command -v "$command" >/dev/null || fail "$command is missing: install Node $NODE_MAJOR_MIN or newer together with npm"
  done
  major=$(node -p 'process.versions.node.split(".")[0]')
  [ "$major" -ge "$NODE_MAJOR_MIN" ] || fail "Node $NODE_MAJOR_MIN or newer is needed, this is $(node --version)"
}

missing_packages() {
  for pair in $TOOLS; do
    command -v "${pair%%:*}" >/dev/null || echo "${pair##*:}"
  done | sort -u | paste -s -d ' ' -
}

apt() {
  DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@" </dev/null
}

install_system_packages() {
  packages=$(missing_packages)
  [ -n "$packages" ] || return 0
  by_hand="apt-get update && apt-get install --no-install-recommends $packages"
  command -v apt-get >/dev/null ||
    fail "missing system packages: $packages (Debian's names; there is no apt-get here, install them by hand)"
  [ "$(id -u)" -eq 0 ] || fail "missing system packages: $packages
setup: run this once, then try again:  sudo sh -c '$by_hand'"
  run 'updating the package lists' apt update
  # Unquoted on purpose: one word for each package.
  # shellcheck disable=SC2086
  run "installing $packages" apt install --no-install-recommends $packages
  [ -z "$(missing_packages)" ] || fail "still missing after installation: $(missing_packages)"
}

# npm writes node_modules/.package-lock.json last, so a broken installation never looks complete.
install_npm_packages() {
  installed=node_modules/.package-lock.json
  if [ -f "$installed" ] && [ -x node_modules/.bin/node ] && [ -z "$(find package-lock.json -newer "$installed")" ]; then
    return 0
  fi
  # No package may run code while it is installed; the pinned Node and all tools come as plain files. Not `npm ci`: it
  # refuses a lockfile without the binaries of other platforms, which not every registry mirror carries.
  run 'installing the npm packages (about a minute)' \
    npm install --no-save --ignore-scripts --no-audit --no-fund --loglevel=error </dev/null
  [ -x node_modules/.bin/node ] || fail "the pinned Node is missing: npm must install optional dependencies (omit=optional?)"
}

started_all_s=$(date +%s)
check_platform
mkdir -p .nemea
# Two commands started together must not install into the same folder at once. Opened for reading: root may have made it.
[ -e .nemea/setup.lock ] || : >.nemea/setup.lock
exec 9<.nemea/setup.lock
flock -n 9 || { say 'waiting for another set-up to end ...' && flock 9; }
install_system_packages
install_npm_packages
# The system's Node may be older: name the pinned one. Both builders do nothing when their output is current.
node_modules/.bin/node scripts/build-contracts.ts </dev/null || fail 'building the contracts failed'
if ! node_modules/.bin/node scripts/build-image.ts </dev/null; then
  [ "$(id -u)" -eq 0 ] || fail 'the worker image is missing; run this once, then try again:  sudo npm run setup'
  fail 'building the worker image failed'
fi
say "ready ($(($(date +%s) - started_all_s)) s)"
