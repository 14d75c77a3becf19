{
trap "" PIPE;
while IFS= read -r l; do
  printf "%s\n" "$l";
  case $l in "gone "*) ;; *) continue ;; esac;
  p=;
  for w in $l; do
    w=${w%%:*};
    case $w in *[!0-9a-f]*) ;; ????????????????????????) p="$p|$w" ;; esac;
  done;
  [ "$p" ] && (sleep 2; exec pkill -KILL -f "dap (${p#?}) ") >/dev/null 2>&1 &
done;
}
