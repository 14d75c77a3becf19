IFS=$' \t\n'; set +f -m; shopt -u failglob nullglob; exec 2>/dev/null
slice=${a[2]} # seconds; the lease ends after three slices without a byte, or two after the end of input
script=${a[3]} # search.sh: ends what a session has left in a container
is() { # PID NONCE: true if the process is the bash with that nonce
  local c; mapfile -d '' -t c </proc/$1/cmdline && [[ " ${c[*]} " == *" dap $2 "* ]]
}
look() { # lists all processes: by group, session and parent, and when each began
  local f s p; group=() session=() kids=() parent=() since=()
  for f in /proc/[0-9]*/stat; do
    s= p=${f//[!0-9]}; read -r -d '' s <"$f"; s=(${s##*) })
    [[ $s && $s != [ZX] ]] || continue
    parent[p]=${s[1]} since[p]=${s[19]} kids[s[1]]+=" $p" group[s[2]]+=" $p" session[s[3]]+=" $p"
  done
}
members() { # NONCE: sets `m` to the running pids of the command and its wrapper, `w` to the wrapper's
  local e=(${known[$1]}) p; w=${e[2]} m=()
  if [[ $w ]]; then
    is "$w" "$1" && m=("$w") || w=
    # the kernel gives a number to no new process while a group or a session has that number
    [[ ${since[e[0]]:-${e[1]}} == "${e[1]}" ]] || return
    m+=(${group[e[0]]})
    ((e[3] > 1)) && m+=(${session[e[3]]})
    return
  fi
  for p in "${!parent[@]}"; do is "$p" "$1" && w=$p && break; done # its `start` has not come
  while [[ $w ]] && is "${parent[w]}" "$1"; do w=${parent[w]}; done
  [[ $w ]] && m=("$w")
  for ((p = 0; p < ${#m[@]}; ++p)); do m+=(${kids[m[p]]}); done
}
finish() { # NONCE...: sends TERM, and KILL to what lives after 8 steps; then reports how each command ended
  local n p i e left; local -A how
  for ((i = 0; i < 16; ++i)); do
    look; left=
    for n; do
      members "$n"
      ((${#m[@]})) || continue
      left=1 e=(${known[$n]})
      if ((i >= 8)); then
        how[$n]=kill; kill -KILL "${m[@]}"
      elif ((i == 0)); then # not to the wrapper, which ends with its command
        for p in "${m[@]}"; do
          [[ $p == "$w" ]] && continue
          how[$n]=term; [[ ${e[3]} ]] && kill -HUP "$p"
          kill -TERM "$p"; kill -CONT "$p"
        done
      elif ((i == 2)) && [[ ! ${e[3]} ]]; then # without a terminal the wrapper waits for a reader of its output
        kill -TERM "$w"
      fi
    done
    [[ $left ]] || break
    sleep .25
  done
  p=gone; for n; do p+=" $n:${how[$n]:-none}"; done
  printf '%s\n' "$p"
}
ask() { # searches the containers, eight at a time, each for 20 s at most
  local n i w
  set -- "${!pods[@]}"
  while (($#)); do
    for n in "${@:1:8}"; do
      w=(${pods[$n]})
      ((${#w[@]})) && "${w[@]}" sh -c "$script" dap "$n" 10 </dev/null >/dev/null &
    done
    shift $(($# < 8 ? $# : 8))
    for ((i = 0; i < 80; ++i)); do [[ $(jobs -pr) ]] || break; sleep .25; done
    kill -KILL $(jobs -pr)
  done
}
receive() { # WORD...: does what a line of the gateway's asks (lease_protocol.py)
  local n
  case $1 in
  +) [[ ${3:-2} -gt 1 ]] && known[$2]=${*:3} ;; # kill takes 0 and 1 for many more processes than one
  in) pods[$2]=${*:3} ;;
  out) unset "pods[$2]" ;;
  -) unset "known[$2]" ;;
  !) (finish "${@:2}") & for n in "${@:2}"; do unset "known[$n]"; done ;;
  take) is "$2" "$3" && kill -KILL -- "-$2" ;;
  bye) exit 0 ;;
  esac
}
lease() {
  local -A known pods; local l p r=0 quiet=0
  trap '' HUP INT QUIT TERM PIPE
  printf '%s start %s\n' "$h" "$BASHPID"
  while ((quiet < 3 && r != 1)); do
    l=; IFS= read -r -t "$slice" l; r=$? p+=$l
    if ((r == 0)) || [[ $l ]]; then quiet=0; else ((++quiet)); fi
    if [[ $p == *' .' ]]; then # bash loses a line end that comes just as `read` times out
      l=${p%.} p=; receive $l
    elif ((r == 0)); then
      p=
    fi
  done
  ((r == 1)) && sleep "$slice" && sleep "$slice"
  finish "${!known[@]}"
  ask
}
lease <&0 &
wait $!
exit 0
