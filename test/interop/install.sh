#!/bin/bash
# Installs the real peers of the interop tests from Debian: Postfix, swaks, HAProxy, Unbound, BIND's server and tools,
# OpenDKIM and dkimpy, NSS and BouncyCastle, OpenLDAP, Exim, and what their harness reads.
# Quick when all is there; starts no service and leaves none running.
set -euo pipefail

packages=(
  postfix swaks libnet-ssleay-perl haproxy openssl procps iproute2 unbound bind9 bind9-utils bind9-dnsutils
  opendkim opendkim-tools python3-dkim python3-nacl      # DKIM: two verifiers
  libnss3-tools libbcmail-java openjdk-17-jdk-headless   # S/MIME: cmsutil, and BouncyCastle with what runs it
  slapd ldap-utils
  libidn12 libgnutls-dane0 libdb5.3 libnsl2              # what Exim's program is linked with
)
# Exim shares files and its place with Postfix, so Debian's package manager keeps them apart: its program is unpacked
# into a folder of its own, without its set-uid bit, and nothing of it is registered as installed. It looks up the user
# whom its package would have made.
exim=/var/lib/sealpost-interop/exim
has_exim() { [ -x "$exim/usr/sbin/exim4" ] && id -u Debian-exim >/dev/null 2>&1; }

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ] && has_exim; then
  echo "interop peers: all installed (${packages[*]} exim4)"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "interop peers: run this as root; missing: ${missing[*]} $(has_exim || echo exim4)" >&2
  exit 1
fi

# Debian's rule for "install, but do not start": invoke-rc.d asks this script (exit 101 = not permitted).
policy=/usr/sbin/policy-rc.d
draft=$(mktemp -d)
trap 'rm -rf "$draft"' EXIT
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -rf "$draft" "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
apt-get -qq update
if [ ${#missing[@]} -gt 0 ]; then
  echo "interop peers: installing ${missing[*]}"
  debconf-set-selections <<<"postfix postfix/main_mailer_type select No configuration" 2>/dev/null || true
  apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "${missing[@]}" >/dev/null
fi
if ! has_exim; then
  echo "interop peers: unpacking exim4-daemon-light into $exim"
  chmod 755 "$draft"
  if id -u _apt >/dev/null 2>&1; then chown _apt "$draft"; fi # apt downloads as this user
  (cd "$draft" && apt-get -qq download exim4-daemon-light)
  dpkg -x "$draft"/exim4-daemon-light_*.deb "$draft/exim"
  chmod u-s "$draft/exim/usr/sbin/exim4"
  chmod 755 "$draft/exim"
  id -u Debian-exim >/dev/null 2>&1 ||
    useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin Debian-exim
  mkdir -p "$(dirname "$exim")"
  rm -rf "$exim"
  mv "$draft/exim" "$exim"
fi
lacking=$(ldd "$exim/usr/sbin/exim4" | grep "not found" || true)
if [ -n "$lacking" ]; then
  echo "interop peers: libraries of Exim are missing: $lacking" >&2
  exit 1
fi
echo "interop peers: installed"
