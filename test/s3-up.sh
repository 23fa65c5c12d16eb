#!/bin/bash
# A real S3 server for the tests: Ceph's radosgw over one monitor and one BlueStore OSD, all on loopback.
# Nothing is installed and no user or service is made: the Debian packages are unpacked into a cache, the data
# lives in S3_DIR, and both can simply be deleted. Several servers run side by side with their own S3_DIR and ports.
#
# usage: test/s3-up.sh up|down|reset|status|env|mem|stop-rgw|kill-rgw|start-rgw|pause-rgw|resume-rgw
#   up      starts what is not running (20 s; the first time on a machine 60 MB are downloaded), then prints env
#   down    stops it, data stays         reset   stops it and deletes the data
#   env     endpoint and keys as shell exports; the second user's keys are good but own nothing
#   *-rgw   faults for tests: kill is SIGKILL, pause is SIGSTOP (connections stall), start/resume undo them
#
# S3_DIR    data, logs and pids (default /tmp/jobrunner-s3)     S3_PORT   of the S3 endpoint (19480)
# S3_CACHE  packages, shared by all (/var/cache/jobrunner-s3)   MON_PORT  of the monitor (13300)
# OSD_GB    room for objects, a sparse file (40)
# S3_OWNER_PID  stop, and delete S3_DIR, when this process is gone (unset: stay up)
# Needs root, apt, python3, 250 MB of disk for the cache and 0.5 GB of memory.
set -euo pipefail

DIR=${S3_DIR:-/tmp/jobrunner-s3}
CACHE=${S3_CACHE:-/var/cache/jobrunner-s3}
PORT=${S3_PORT:-19480}
MON_PORT=${MON_PORT:-13300}
OSD_GB=${OSD_GB:-40}

CONF=$DIR/ceph.conf
DATA=$DIR/var
ROOT=$CACHE/root
LIBS=$ROOT/usr/lib/$(uname -m)-linux-gnu
FSID=3f1b7c1e-0000-4000-8000-0000000000aa

S3_ENDPOINT=http://127.0.0.1:$PORT
OWNER_KEY=TESTACCESSKEY0000001
OWNER_SECRET=testsecret0000000000000000000000000000001
OTHER_KEY=TESTREADONLY00000001
OTHER_SECRET=readonlysecret00000000000000000000000001

export LC_ALL=C

fail() {
  echo "s3-up.sh: $*" >&2
  exit 1
}

# ---- the unpacked packages ----

unpacked() {
  env LD_LIBRARY_PATH="$LIBS:$LIBS/ceph:$ROOT/lib/$(uname -m)-linux-gnu" \
    PYTHONPATH="$ROOT/usr/lib/python3/dist-packages" CEPH_CONF="$CONF" "$@"
}

ceph() { unpacked python3 "$ROOT/usr/bin/ceph" -c "$CONF" --connect-timeout 20 "$@"; }

radosgw_admin() { unpacked "$ROOT/usr/bin/radosgw-admin" -c "$CONF" "$@"; }

fetch_packages() {
  mkdir -p "$CACHE/debs/partial" || fail "S3_CACHE: cannot write $CACHE"
  (
    # Two test runs may find the cache empty at once.
    flock 9
    [ -e "$CACHE/.complete" ] && exit 0
    local options=(-y --no-install-recommends --download-only --reinstall
      -o Debug::NoLocking=1 -o "Dir::Cache::archives=$CACHE/debs")
    local packages=(ceph-mon ceph-osd radosgw ceph-common)
    apt-cache show "${packages[@]}" >/dev/null 2>&1 || apt-get update >"$CACHE/apt.log" 2>&1 || true
    apt-get "${options[@]}" install "${packages[@]}" >"$CACHE/apt.log" 2>&1 ||
      fail "the Ceph packages cannot be downloaded: $(tail -n 3 "$CACHE/apt.log")"
    rm -rf "$ROOT"
    mkdir -p "$ROOT"
    for deb in "$CACHE"/debs/*.deb; do dpkg -x "$deb" "$ROOT"; done
    touch "$CACHE/.complete"
  ) 9>"$CACHE/.lock"
}

# ---- processes: one pid file each, trusted only if that pid is our program with our configuration ----

ended() { ! grep -q '^State:[[:space:]]*[^Z]' "/proc/$1/status" 2>/dev/null; }

pid_of() {
  local pid
  pid=$(cat "$DIR/run/$1.pid" 2>/dev/null) && [ -n "$pid" ] || return 1
  ended "$pid" && return 1
  tr '\0' ' ' <"/proc/$pid/cmdline" | grep -q -F -e "-c $CONF" || return 1
  echo "$pid"
}

launch() {
  local name=$1
  shift
  pid_of "$name" >/dev/null && return 0
  # Its own session, so that Ctrl-C in a test run stops it through `down` and not half of it at random. The
  # descriptors are closed: a caller that reads our output to its end must not wait for a daemon.
  (
    set +e
    LD_LIBRARY_PATH="$LIBS:$LIBS/ceph:$ROOT/lib/$(uname -m)-linux-gnu" \
      setsid "$@" -c "$CONF" >>"$DIR/log/$name.out" 2>&1 </dev/null &
    echo $! >"$DIR/run/$name.pid"
  )
}

end() {
  local name=$1 signal=${2:-TERM} pid
  pid=$(pid_of "$name") || pid=
  rm -f "$DIR/run/$name.pid"
  [ -n "$pid" ] || return 0
  kill -CONT "$pid" # a paused process takes no TERM
  kill "-$signal" "$pid"
  for _ in $(seq 100); do
    ended "$pid" && return 0
    sleep 0.1
  done
  kill -KILL "$pid" || true
}

signal_rgw() {
  local pid
  pid=$(pid_of rgw) || fail "radosgw is not running"
  kill "-$1" "$pid"
}

await() {
  for _ in $(seq 300); do
    "$@" >/dev/null 2>&1 && return 0
    sleep 0.2
  done
  tail -n 5 "$DIR"/log/*.out >&2 || true
  fail "gave up waiting for: $*"
}

refuse_taken_port() {
  if (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; then fail "port $1 is taken: set $2"; fi
}

osd_is_up() { ceph osd stat 2>/dev/null | grep -q '1 up'; }

gateway_answers() {
  local status
  exec 3<>"/dev/tcp/127.0.0.1/$PORT" || return 1
  printf 'GET / HTTP/1.0\r\n\r\n' >&3
  read -r -t 5 status <&3
  exec 3>&-
  [[ $status == *' 200 '* ]]
}

# ---- the cluster ----

write_conf() {
  cat >"$CONF" <<EOF
[global]
fsid = $FSID
mon host = [v2:127.0.0.1:$MON_PORT]
public addr = 127.0.0.1
cluster addr = 127.0.0.1
ms bind ipv6 = false
ms bind port min = 16800
ms bind port max = 16899
auth cluster required = none
auth service required = none
auth client required = none
# One copy on one disk is all there is.
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon warn on pool no redundancy = false
mon max pg per osd = 2000
osd crush chooseleaf type = 0
osd crush update on start = true
plugin dir = $LIBS/ceph
erasure code dir = $LIBS/ceph/erasure-code
osd class dir = $LIBS/rados-classes
run dir = $DIR/run
admin socket = $DIR/run/\$name.asok
log file = $DIR/log/\$name.log
debug ms = 0
[mon.a]
mon data = $DATA/mon
mon cluster log file = $DIR/log/cluster.log
mon allow pool delete = true
# Ceph stops at 5 % free; a laptop may well be there.
mon data avail warn = 2
mon data avail crit = 1
[osd.0]
osd data = $DATA/osd
osd objectstore = bluestore
bluestore block create = true
bluestore block size = $((OSD_GB * 1024 * 1024 * 1024))
bluestore cache autotune = false
bluestore cache size = 134217728
osd max write size = 90
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:$PORT
rgw data = $DATA/rgw
ms mon client mode = crc
rgw enable usage log = false
rgw enable ops log = false
rgw gc obj min wait = 5
EOF
}

start_mon() {
  launch mon "$ROOT/usr/bin/ceph-mon" -f -i a
  await ceph -s
}

start_rgw() {
  pid_of rgw >/dev/null || refuse_taken_port "$PORT" S3_PORT
  launch rgw "$ROOT/usr/bin/radosgw" -f -n client.rgw
  await gateway_answers
}

make_disks() {
  [ -e "$DATA/.complete" ] && return 0
  local uuid
  rm -rf "$DATA"
  mkdir -p "$DATA/mon" "$DATA/osd" "$DATA/rgw"
  unpacked "$ROOT/usr/bin/monmaptool" --create --clobber --fsid $FSID \
    --addv a "[v2:127.0.0.1:$MON_PORT]" "$DATA/monmap" >/dev/null
  unpacked "$ROOT/usr/bin/ceph-mon" --mkfs -i a -c "$CONF" --monmap "$DATA/monmap" >/dev/null
  start_mon
  uuid=$(cat /proc/sys/kernel/random/uuid)
  ceph osd new "$uuid" >/dev/null
  unpacked "$ROOT/usr/bin/ceph-osd" -i 0 -c "$CONF" --mkfs --osd-uuid "$uuid" \
    >>"$DIR/log/osd-mkfs.out" 2>&1 || fail "no disk for the objects: $(tail -n 2 "$DIR/log/osd-mkfs.out")"
  touch "$DATA/.complete"
}

make_users() {
  radosgw_admin user info --uid=test >/dev/null 2>&1 && return 0
  radosgw_admin user create --uid=test --display-name=test \
    --access-key=$OWNER_KEY --secret-key=$OWNER_SECRET >/dev/null 2>&1
  radosgw_admin user create --uid=other --display-name=other \
    --access-key=$OTHER_KEY --secret-key=$OTHER_SECRET >/dev/null 2>&1
}

up() {
  [ "$(id -u)" = 0 ] || fail "up: must be root (apt unpacks Ceph for it)"
  command -v python3 >/dev/null || fail "python3 is missing: apt-get install python3"
  mkdir -p "$DIR/run" "$DIR/log" || fail "S3_DIR: cannot write $DIR"
  pid_of mon >/dev/null || refuse_taken_port "$MON_PORT" MON_PORT
  fetch_packages
  write_conf
  make_disks
  start_mon
  launch osd "$ROOT/usr/bin/ceph-osd" -f -i 0
  await osd_is_up
  start_rgw
  make_users
  if [ -n "${S3_OWNER_PID:-}" ]; then setsid "$0" watch-owner >/dev/null 2>&1 </dev/null & fi
}

down() {
  end rgw
  end osd
  end mon
}

# A test run that is killed cannot clean up after itself.
watch_owner() {
  while [ -e "/proc/$S3_OWNER_PID" ] && pid_of mon >/dev/null; do sleep 1; done
  [ -e "/proc/$S3_OWNER_PID" ] && return 0
  down
  rm -rf "$DIR"
}

print_env() {
  printf 'export S3_ENDPOINT=%s S3_REGION=us-east-1\n' "$S3_ENDPOINT"
  printf 'export AWS_ACCESS_KEY_ID=%s AWS_SECRET_ACCESS_KEY=%s\n' $OWNER_KEY $OWNER_SECRET
  printf 'export S3_OTHER_KEY_ID=%s S3_OTHER_SECRET=%s\n' $OTHER_KEY $OTHER_SECRET
}

case ${1:-} in
up) up && print_env ;;
down) down ;;
reset) down && rm -rf "$DATA" ;;
env) print_env ;;
stop-rgw) end rgw ;;
kill-rgw) end rgw KILL ;;
start-rgw) start_rgw ;;
watch-owner) watch_owner ;;
pause-rgw) signal_rgw STOP ;;
resume-rgw) signal_rgw CONT ;;
status)
  for name in mon osd rgw; do echo "$name: $(pid_of $name || echo down)"; done
  pid_of mon >/dev/null && ceph -s
  ;;
mem)
  for name in mon osd rgw; do
    pid=$(pid_of $name) || continue
    awk -v name=$name '/VmRSS|VmHWM/ { printf "%s %s %d MiB\n", name, $1, $2 / 1024 }' "/proc/$pid/status"
  done
  du -sh "$ROOT" "$DATA"
  ;;
*)
  sed -n 's/^# usage: /usage: /p' "$0" >&2
  exit 2
  ;;
esac
