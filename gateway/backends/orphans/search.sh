# Ends what a session has left in this container, as a terminal does that hangs up: sh -c THIS dap ID LOOKS.
# Its processes carry DAP_SESSION=LEAD.ID in their environment; LEAD is the pid of the first one, and so the number of
# its session. What has a session of its own (setsid) or ignores HUP (nohup) lives. For any POSIX sh, with /proc and
# sleep; grep makes it quick. LOOKS: tenths of a second in which something may still be about to start.
# Says: dap-leftovers ENDED KEPT LEFT UNREADABLE (processes).
exec 2>/dev/null
IFS=' 	
'
id=$1 looks=$2 n=0 lead=none sure= seen=

# Prints the files that match; without grep, all files.
has() {
  if command -v grep >/dev/null; then grep -ls "$@"; else shift && echo "$@"; fi
}

# Prints the /proc files that may show the mark: a shell that has yet to set the mark shows it among its arguments.
carriers() { has "DAP_SESSION=[0-9\$]*\.$id" /proc/[0-9]*/environ /proc/[0-9]*/cmdline; }

# Sets state, session and born from /proc/PID/stat; fails for a process that has ended. A name ends at the last `)`.
stat() {
  all='' state=''
  while IFS= read -r part || [ "$part" ]; do all="$all $part"; done <"/proc/$1/stat"
  set -- ${all##*) }
  state=$1 session=$4 born=${20}
  [ "$state" ] && [ "$state" != Z ] && [ "$state" != X ]
}

# Sets lead where the process carries the mark, else fails. `read` leaves out the NULs.
marked() {
  while IFS= read -r part || [ "$part" ]; do
    case $part in *DAP_SESSION=*".$id"*)
      part=${part%%".$id"*} lead=${part##*DAP_SESSION=}
      case $lead in '' | *[!0-9]*) ;; *) return 0 ;; esac ;;
    esac
  done <"/proc/$1/environ"
  while IFS= read -r part || [ "$part" ]; do
    case $part in sh-cexport\ DAP_SESSION=\$\$."$id"*) lead=$1 && return 0 ;; esac
    break
  done <"/proc/$1/cmdline"
  return 1
}

deaf() { # ignores HUP
  while read -r name mask; do
    case $name$mask in SigIgn:*[13579bdf]) return 0 ;; esac
  done <"/proc/$1/status"
  return 1
}

# Adds to $seen, as PID.BORN, all that is in the session. It is surely that one while a carrier is in it: the kernel
# does not give the number away before the last of them has gone.
look() {
  sure=
  for path in $(carriers); do
    pid=${path#/proc/} pid=${pid%/*}
    marked "$pid" && stat "$pid" && [ "$session" = "$lead" ] && sure=1 && break
  done
  [ "$sure" ] || return 1
  for path in $(has ") [A-Za-z] [0-9]* [0-9]* $lead " /proc/[0-9]*/stat); do
    pid=${path#/proc/} pid=${pid%/*}
    stat "$pid" && [ "$session" = "$lead" ] || continue
    case " $seen " in *" $pid.$born "*) ;; *) seen="$seen $pid.$born" ;; esac
  done
}

lives() { # PID.BORN is still what it was, and in the session
  stat "${1%.*}" && [ "${1%.*}.$born $session" = "$1 $lead" ]
}

# Gives signals to those of $seen that live and hear HUP; fails where there is none. Each is looked at again right before.
tell() {
  found=
  for one in $seen; do
    lives "$one" && ! deaf "${one%.*}" || continue
    found=1
    for signal; do kill "-$signal" "${one%.*}"; done
  done
  [ "$found" ]
}

pause() { # n counts tenths of a second
  if sleep 0.1; then n=$((n + 1)); else sleep 1; n=$((n + 10)); fi
}

# Once more: what was just being started shows no environment while exec loads it.
again() {
  n=0
  until look; do
    [ "$(has ") [A-Y] [0-9]* [0-9]* $lead " /proc/[0-9]*/stat)" ] && [ $n -lt 10 ] || return 1
    pause
  done
}

end() { # with these signals, within a second; fails where there was nothing more to end
  tell "$@" || { again && tell "$@"; } || return 1
  n=0
  while [ $n -lt 10 ] && tell; do pause; done
}

count() { # into ended, kept, left, unreadable
  ended=0 kept=0 left=0 unreadable=0 counted=' '
  for one in $seen; do
    pid=${one%.*}
    if ! lives "$one"; then ended=$((ended + 1))
    elif deaf "$pid"; then kept=$((kept + 1)) counted="$counted$pid "
    else left=$((left + 1)) counted="$counted$pid "
    fi
  done
  for path in $(carriers); do
    pid=${path#/proc/} pid=${pid%/*}
    case $counted in *" $pid "*) continue ;; esac
    marked "$pid" && stat "$pid" && kept=$((kept + 1)) counted="$counted$pid "
  done
  for path in /proc/[0-9]*; do
    true <"$path/environ" || ! stat "${path#/proc/}" || unreadable=$((unreadable + 1))
  done
}

until look || [ $n -ge "$looks" ]; do pause; done
end HUP CONT && end TERM CONT && end KILL && end KILL
count
echo "dap-leftovers $ended $kept $left $unreadable"
