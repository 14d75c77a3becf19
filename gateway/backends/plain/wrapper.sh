IFS=$' \t\n'; trap : INT QUIT; exec 4>&2; r=0 e= s= p= q= m=${a[1]} a=("${a[@]:2:$2-3}")
started() { local s; read -r -d '' s </proc/$1/stat; s=(${s##*) }); printf '%s start %s\n' "$h" "$1 ${s[19]} $$ ${t:+${s[3]}}"; }
script() { local x=${a[0]} s=; [[ $x == */* ]] || { hash -- "$x"; x=${BASH_CMDS[$x]}; }; read -r -n 2 s <"$x"; [ "$s" = '#!' ]; }
below() { # PID: tells for two seconds which processes below it have the same arguments
  local i n k l c told=' '; exec 5<> <(:)
  for ((i = 0; i < 100; ++i)); do
    n=$1
    while [ "$n" ]; do
      l=; read -r -d '' l </proc/$n/task/$n/children; n=
      for k in $l; do
        mapfile -d '' -t c </proc/$k/cmdline
        [ "${c[*]:1-${#a[@]}}" = "${a[*]:1}" ] || continue
        n=$k; [[ $told == *" $k "* ]] || { told+="$k "; printf '%s also %s\n' "$h" "$k"; }
        break
      done
    done
    read -r -t .02 -u 5 l
  done
}
if ! type -P -- "${a[0]}" >/dev/null; then
  printf '%s absent\n' "$h"; [ "$t" ] || printf '%s\n' "$h" >&4; r=127
elif [ -z "$t" ]; then
  exec 2>/dev/null; set -m; s=TERM; trap 'kill -$s -- -$p; s=KILL' TERM HUP
  (started "$BASHPID"; printf '%s\n' "$h" >&4; exec -- "${a[@]}" 2>&4 4>&-) <&0 & p=$!
  [ "$m" = kubectl ] && script && { below "$p" </dev/null 4>&- & q=$!; }
  while wait $p; kill -0 $p; do sleep .1; done; wait $p; r=$?
  [ "$q" ] && kill $q && wait $q
else
  started $$ 2>/dev/null
  if [ "$m" = kubectl ]; then
    { e=$(exec -- "${a[@]}" 2>&1 >&3 3>&- 4>&-) || r=$?; } 3>&1
  else
    exec 2>/dev/null; stty "$t"; (exec -- "${a[@]}" 2>&4 4>&-); r=$?; stty raw -echo
  fi
  ((${#e} > 4000)) && e=${e: -4000}
fi
if [ -z "$t" ]; then sleep 5 </dev/null >/dev/null 2>&1 4>&- & trap 'kill $!' TERM; fi
printf '%s exit %s\n%s%s\n' "$h" "$r" "$e" "$h"
if [ -z "$t" ]; then printf '%s\n' "$h" >&4; [ "$s" != KILL ] || kill $!; wait $!; fi
exit 0
