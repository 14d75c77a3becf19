#!/bin/sh
# Stands in for `incus exec` (6.0): the only running instance is this machine in another HOME.
# It becomes the command, so bytes, signals and exit status pass as they are.
set -u

fail() {
    printf 'Error: %s\n' "$1" >&2
    exit "${2:-1}"
}

case ${1-} in
exec) shift ;;
--version) echo 6.0.4 && exit ;;
*) fail "unknown command \"${1-}\" for \"incus\"" ;;
esac

name='' terminal='' project=default directory=$DEMO_HOME
[ -t 0 ] && [ -t 1 ] && terminal=1
while [ $# -gt 0 ]; do
    case $1 in
    --) shift && break ;;
    -t | --force-interactive | --mode=interactive) terminal=1 ;;
    -T | --force-noninteractive | --mode=non-interactive) terminal='' ;;
    --mode=auto | --disable-stdin=false | -q | --quiet) ;;
    -n | --disable-stdin) exec </dev/null ;;
    --env=*) export "${1#*=}" ;;
    --project=*) project=${1#*=} ;;
    --cwd=*) directory=${1#*=} ;;
    --user=* | --group=*) ;;
    --env | --project | --cwd | --user | --group | --mode)
        [ $# -gt 1 ] || fail "flag needs an argument: $1"
        option=$1 value=$2
        shift 2
        set -- "$option=$value" "$@"
        continue
        ;;
    -?*) fail "unknown flag: $1" ;;
    *)
        [ "$name" ] && break
        name=${1#local:}
        ;;
    esac
    shift
done

[ "$name" ] && [ $# -gt 0 ] || fail 'Invalid number of arguments'
case $name in *:*) fail "The remote \"${name%%:*}\" doesn't exist" ;; esac
[ "$project" = default ] || fail 'Project not found'
case $name in
"$DEMO_INSTANCE") ;;
dap-stopped) fail 'Instance is not running' ;;
dap-frozen) fail 'Instance is frozen' ;;
*) fail "Failed to fetch instance \"$name\" in project \"$project\": Instance not found" ;;
esac

export HOME="$DEMO_HOME" USER=root LOGNAME=root
cd "$directory" || fail 'Command not found' 127
if [ "$terminal" ]; then
    # The real one makes a new terminal, and ours may have come raw: commands expect it as new ones are.
    [ ! -t 0 ] || stty sane
else
    unset TERM
fi
unset DEMO_HOME DEMO_INSTANCE
command -v "$1" >/dev/null 2>&1 || fail 'Command not found' 127
exec "$@"
