#!/bin/bash
# The first process of a test machine (see machine.py), in namespaces of its own: hides from it what belongs to the
# host, then starts and stops the user's manager as it is told on standard input.
#
#   boot.sh USER PROGRAMS      PROGRAMS is the directory that becomes /srv
set -eu
user=$1 programs=$2

# What the machine may write to is in memory, and gone with it.
mount --bind "$programs" /srv
mount -o remount,ro,bind /srv
for directory in /run /home /tmp /usr/local/bin /sys/fs/cgroup; do
    mount -t tmpfs -o mode=755 machine "$directory"
done
chmod 1777 /tmp
mount -t cgroup2 -o nsdelegate machine /sys/fs/cgroup
mkdir -p /run/etc/{new,work} /run/lock /var/log/journal
mkdir -p /run/systemd/{journal,system,unit-root,propagate} # which the machine's own systemd would have made
mount -t overlay -o lowerdir=/etc,upperdir=/run/etc/new,workdir=/run/etc/work machine /etc
mount -t tmpfs -o mode=755 machine /var/log/journal
ln -s /srv/kvd/bin/kvd /srv/kvd/bin/kvctl /srv/kvd/bin/kvd-exporter /usr/local/bin/
useradd --create-home --shell /bin/bash "$user"
id=$(id -u "$user")

# A journal for each user is kept only on what counts as a disk, once it was told that the disk is there.
systemd-machine-id-setup >/dev/null 2>&1
mkdir -p "/var/log/journal/$(cat /etc/machine-id)"
touch /run/systemd/journal/flushed
systemd=/lib/systemd
"$systemd/systemd-journald" </dev/null >/run/journald.log 2>&1 &

as_user() {
    setpriv --reuid "$id" --regid "$(id -g "$user")" --init-groups --reset-env \
        env "XDG_RUNTIME_DIR=/run/user/$id" LANG=C.UTF-8 "$@"
}

until_true() {
    local attempt
    for attempt in $(seq 500); do
        if "$@"; then return; fi
        sleep 0.02
    done
    echo "never true: $*" >&2
    cat /run/journald.log /run/manager.log >&2 || :
    return 1
}

is_running() {
    case $(as_user systemctl --user is-system-running 2>/dev/null || :) in running | degraded) ;; *) false ;; esac
}

# As logging in does, and logging out.
start() {
    # Where logind would put it, and by which journald knows whose log lines are which unit's.
    local group="/sys/fs/cgroup/user.slice/user-$id.slice/user@$id.service"
    mkdir -p "/run/user/$id" "$group"
    mount -t tmpfs -o "mode=700,uid=$id,gid=$(id -g "$user")" machine "/run/user/$id"
    chown "$id" "$group" "$group"/cgroup.{procs,subtree_control,threads}
    (
        # It takes the group that it finds itself in for its own, all other processes there included.
        echo "$BASHPID" >"$group/cgroup.procs"
        as_user "$systemd/systemd" --user --log-target=journal
    ) </dev/null >/run/manager.log 2>&1 &
    manager=$!
    until_true is_running
}

stop() {
    as_user systemctl --user exit
    wait "$manager" || :
    umount --lazy "/run/user/$id"
}

until_true test -S /run/systemd/journal/stdout
while read -r order; do
    "$order" >&2
    echo "done $order $id"
done
