# What this project needs beside Go, and how to get it. Read, not run, by the
# Makefile and the scripts here.
# shellcheck shell=sh

# as_root COMMAND...: runs it as root, if that takes no password.
as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

# install_package PACKAGE...: by apt-get where that is there and allowed, else fails.
install_package() {
	command -v apt-get >/dev/null && as_root true 2>/dev/null || return 1
	echo "installing $*" >&2
	as_root apt-get update -q </dev/null >&2 &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "$@" </dev/null >&2
}

# missing WHAT PACKAGE...: says what to do.
missing() {
	what=$1
	shift
	echo "$what missing; install it, on Debian with: apt-get install $*" >&2
	return 1
}

need_compiler() {
	command -v gcc >/dev/null || install_package gcc libc6-dev ||
		missing "a C compiler (for SQLite) is" gcc libc6-dev
}

need_curl() {
	command -v curl >/dev/null || install_package curl ||
		missing "curl (tests type what the first start prints, and the README's walk) is" curl
}

# has_postgres: is a server of version 15 or newer here? Debian keeps them out of PATH.
has_postgres() {
	for initdb in "$(command -v initdb)" /usr/lib/postgresql/*/bin/initdb; do
		[ -x "$initdb" ] || continue
		version=$("$initdb" --version | sed 's/.*(PostgreSQL) \([0-9]*\).*/\1/')
		[ "$version" -ge 15 ] && return 0
	done
	return 1
}

need_postgres() {
	has_postgres || install_postgres || true
	has_postgres || missing "a PostgreSQL server (version 15 or newer) is" postgresql
}

# has_pgbouncer: Debian keeps it out of an ordinary PATH.
has_pgbouncer() { [ -n "$(command -v pgbouncer)" ] || [ -x /usr/sbin/pgbouncer ]; }

need_pgbouncer() {
	has_pgbouncer || install_pgbouncer || true
	has_pgbouncer || missing "the connection pooler PgBouncer is" pgbouncer
}

# finally COMMAND: runs it when this subshell ends, also when it is interrupted.
finally() {
	trap "$1" EXIT
	trap 'exit 130' HUP INT TERM
}

# install_pgbouncer wants the program alone: no service is started, now or later. A
# policy of the owner's stays; one that a killed run left does not.
install_pgbouncer() (
	policy=/usr/sbin/policy-rc.d ours='# of smartseller, while it installs'
	as_root true 2>/dev/null || exit 1
	if [ ! -e $policy ] || grep -qx "$ours" $policy; then
		finally "as_root rm -f $policy"
		printf '#!/bin/sh\n%s\nexit 101\n' "$ours" | as_root tee $policy >/dev/null
		as_root chmod 755 $policy
	fi
	install_package pgbouncer
	installed=$?
	as_root systemctl disable pgbouncer 2>/dev/null || true
	exit $installed
)

# install_postgres wants the programs alone: the package is kept from making, and
# starting, a server of the system's own. The owner's settings are put back as they were.
install_postgres() (
	conf=/etc/postgresql-common/createcluster.conf
	install_package postgresql-common || exit 1
	before=$conf.before-smartseller # is there after a killed run
	finally "[ ! -e $before ] || as_root mv -f $before $conf"
	[ -e $before ] || as_root sh -c "cp -p $conf $before.part && mv $before.part $before" || exit 1
	as_root sed -i 's/^#* *create_main_cluster *=.*/create_main_cluster = false/' $conf
	install_package postgresql
)

need_spin() {
	command -v spin >/dev/null || install_package spin ||
		missing "the model checker spin is" spin
}
