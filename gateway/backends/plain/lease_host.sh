{
trap "" PIPE;
set -f;
n=0;
while IFS= read -r l; do
  printf "%s\n" "$l";
  case $l in "gone "*) ;; *) continue ;; esac;
  p=;
  for w in $l; do
    w=${w%%:*};
    case $w in *[!0-9a-f]*) ;; ????????????????????????) p="$p|$w" ;; esac;
  done;
  [ "$p" ] || continue;
  n=$((n + 1));
  [ $n -le 16 ] || { wait; n=1; };
  (sleep 2; exec pkill -KILL -f "dap (${p#?}) ") >/dev/null 2>&1 &
done;
}
