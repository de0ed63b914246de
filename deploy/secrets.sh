#!/bin/sh
# Make the secrets of compose.postgres.yml and compose.monitoring.yml in deploy/secrets, once: what is
# there stays. The folder is closed to other users of this machine; the files are not, for each is
# read in its container by a user that this machine does not know.
set -eu
cd "$(dirname "$0")"
umask 077
mkdir -p secrets

make_secret() {
  [ -e "secrets/$1" ] || (umask 022 && cat >"secrets/$1")
}

random() {
  od -An -N24 -tx1 /dev/urandom | tr -d ' \n'
}

random | make_secret postgres-password
random | make_secret grafana-password
printf 'postgresql://dragoman:%s@postgres/dragoman' "$(cat secrets/postgres-password)" | make_secret database-url
ls -l secrets
