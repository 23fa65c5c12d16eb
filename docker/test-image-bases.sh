#!/usr/bin/env bash
# test-image.sh and test-bare.sh source this. It makes base images where no image registry answers,
# and shares its variables with the script that sources it.
# shellcheck disable=SC2034,SC2154

# Finds a mirror in the machine's own sources, in either of apt's formats.
mirror() {
  grep -hsE '^(deb |URIs:)' /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} |
    grep -oE 'https?://[^ ]+/debian(/| |$)' | head -n 1 | tr -d ' ' || true
}

make_debian_base() { # release
  local tarball=$cache/$1.tar root=$work/root from
  if [ ! -e "$tarball" ]; then
    docker/install-packages.sh <(echo debootstrap)
    from=$(mirror)
    from=${from:-http://deb.debian.org/debian}
    echo "no registry answers: making a base of Debian $1 from $from"
    debootstrap --variant=minbase "$1" "$root" "$from" >"$work/debootstrap.log" 2>&1 ||
      fail 'debootstrap failed' "$(tail -n 20 "$work/debootstrap.log")"
    # As in the official images: nothing is kept for a crash in the middle of a build.
    echo force-unsafe-io >"$root/etc/dpkg/dpkg.cfg.d/unsafe-io"
    printf 'path-exclude /usr/share/doc/*\npath-exclude /usr/share/man/*\n' >"$root/etc/dpkg/dpkg.cfg.d/slim"
    rm -rf "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/archives/*.deb "$root"/usr/share/doc/* "$root"/usr/share/man/*
    tar -C "$root" --numeric-owner --one-file-system -cf "$tarball.new" .
    rm -rf "$root"
    mv "$tarball.new" "$tarball"
  fi
  engine image inspect "localhost/$1:own" >/dev/null 2>&1 ||
    engine import "$tarball" "localhost/$1:own" >/dev/null 2>&1
}

# The same with this machine's Node, as in the official image, and npm's settings to reach its
# registry.
make_node_base() { # release; sets node_image
  local node=$work/node npm stamp
  make_debian_base "$1"
  stamp=$({ node --version; npm --version; cat /etc/ssl/certs/ca-certificates.crt; } 2>/dev/null | cksum | cut -d' ' -f1)
  node_image=localhost/node-$1:own-$stamp
  ! engine image inspect "$node_image" >/dev/null 2>&1 || return 0
  npm=$(dirname "$(dirname "$(readlink -f "$(command -v npm)")")")
  mkdir -p "$node/bin" "$node/lib/node_modules" "$node/include" "$node/etc"
  cp "$(readlink -f "$(command -v node)")" "$node/bin/node"
  cp -r "$npm" "$node/lib/node_modules/npm"
  ln -s ../lib/node_modules/npm/bin/npm-cli.js "$node/bin/npm"
  # Headers, so that better-sqlite3 is built without nodejs.org.
  cp -r "$(dirname "$(dirname "$(readlink -f "$(command -v node)")")")/include/node" "$node/include/" ||
    fail "the headers of this machine's Node are not beside it (include/node)"
  cp /etc/ssl/certs/ca-certificates.crt "$node/etc/ca.crt"
  printf 'registry=%s\ncafile=/usr/local/etc/ca.crt\nnodedir=/usr/local\n' "$(npm config get registry 2>/dev/null)" >"$node/etc/npmrc"
  cat >"$work/Dockerfile.node" <<DOCKERFILE
FROM localhost/$1:own
COPY . /usr/local
ENV NODE_EXTRA_CA_CERTS=/usr/local/etc/ca.crt SSL_CERT_FILE=/usr/local/etc/ca.crt
DOCKERFILE
  build -q -t "$node_image" -f "$work/Dockerfile.node" "$node" >/dev/null
}
