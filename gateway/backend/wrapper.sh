trap : INT QUIT; exec 4>&2; r=0 e= m=${a[1]} a=("${a[@]:2}")
if ! type -P -- "${a[0]}" >/dev/null; then
  printf '%s absent\n' "$h"; printf '%s\n' "$h" >&4; r=127
elif [ -z "$t" ]; then
  exec 2>/dev/null; set -m
  (printf '%s start %s\n' "$h" "$BASHPID"; printf '%s\n' "$h" >&4; exec "${a[@]}" 2>&4 4>&-) <&0 & k=$!
  s=TERM; trap 'kill -$s -- -$k; s=KILL' TERM HUP
  while wait $k; r=$?; kill -0 $k; do :; done
else
  printf '%s start %s\n' "$h" $$
  if [ "$m" = kubectl ]; then
    { e=$(exec "${a[@]}" 2>&1 >&3 3>&- 4>&-) || r=$?; } 3>&1
  else
    stty "$t"; "${a[@]}" 4>&-; r=$?; stty raw -echo
  fi
  ((${#e} > 4000)) && e=${e: -4000}
fi
printf '%s exit %s\n%s%s\n' "$h" "$r" "$e" "$h"
[ "$t" ] || printf '%s\n' "$h" >&4
exit 0
