#!/usr/bin/env bash
# Installs the Debian packages of the given list files, if any is missing, without starting their
# services. Prints the size of the download first.
set -euo pipefail

mapfile -t packages < <(grep -hv '^#' "$@")
missing=()
for package in "${packages[@]}"; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

# Debian's packages start their daemons at once; the supervisor starts ours, with our configuration.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' >"$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi

export DEBIAN_FRONTEND=noninteractive
log=$(mktemp)
run() { "$@" >"$log" 2>&1 || { tail -n 20 "$log" >&2; echo "failed: $*" >&2; exit 1; }; }
run apt-get update
install=(apt-get install --no-install-recommends "${missing[@]}")
# The size in apt's own words, as "234 MB"; empty where apt fails, since the installation then shows
# the reason.
size=$(LC_ALL=C "${install[@]}" --assume-no 2>/dev/null | sed -n 's/^Need to get \(.*\) of archives\.$/\1/p' || true)
echo "Installing ${missing[*]} (${size:-unknown size} to download) …"
run "${install[@]}" -y
rm -f "$log"
