#!/bin/bash
# Installs the real peers of the interop tests from Debian: Postfix, swaks, HAProxy, Unbound, BIND's server and tools,
# and what their harness reads.
# Quick when all is there; starts no service and leaves none running.
set -euo pipefail

packages=(postfix swaks libnet-ssleay-perl haproxy openssl procps iproute2 unbound bind9 bind9-utils bind9-dnsutils)

missing=()
for package in "${packages[@]}"; do
  status=$(dpkg-query -W -f '${Status}' "$package" 2>/dev/null || true)
  [ "$status" = "install ok installed" ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "interop peers: all installed (${packages[*]})"
  exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
  echo "interop peers: run this as root; missing: ${missing[*]}" >&2
  exit 1
fi

# Debian's rule for "install, but do not start": invoke-rc.d asks this script (exit 101 = not permitted).
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod 755 "$policy"
  trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
echo "interop peers: installing ${missing[*]}"
debconf-set-selections <<<"postfix postfix/main_mailer_type select No configuration" 2>/dev/null || true
apt-get -qq update
apt-get -qq -y --no-install-recommends -o Dpkg::Use-Pty=0 install "${missing[@]}" >/dev/null
echo "interop peers: installed"
