"""Holds the scripts that run in the container's sh, which is any POSIX shell. What they are given are arguments: no name is
ever part of a script. What they report goes to stderr, each report a line that begins with the mark that is their first
argument: what programs say themselves stands there too. One that fails before it has read its input says so, and reads on: while
input is on its way the end of a command may come late.
"""

# What stat tells of one file; where there is no stat, its size, and 0 for its time and its inode
_STAT = """\
if command -v stat >/dev/null 2>&1; then set -- "$(stat -L -c '%f %s %Y %b %i' -- "$path")"; else set -- "81a4 $(wc -c <"$path") 0 1 0"; fi
"""

# The SHA-256 of each of the files that are the arguments, empty for what is none
_HASHES = """\
for one; do
  set -- ""
  [ -f "$one" ] && [ ! -h "$one" ] && set -- $(sha256sum <"$one")
  echo "$mark sha256 $1" >&2
done
"""

# The tools that there are, and what the source, or the place to copy to, is: mark, path
LOOK = f"""\
mark=$1 path=$2
for tool in tar find stat dd cat wc sha256sum mv mkdir rm chmod touch; do
  command -v $tool >/dev/null 2>&1 && echo "$mark tool $tool" >&2
done
kind=none
[ -e "$path" ] && kind=other
[ -f "$path" ] && kind=file
[ -d "$path" ] && kind=dir
case $path in */*) parent=${{path%/*}}; parent=${{parent:-/}} ;; *) parent=. ;; esac
up=none; [ -d "$parent" ] && up=dir; [ -d "$parent" ] && [ -w "$parent" ] && up=writes
echo "$mark path $kind $up" >&2
[ $kind = file ] || exit 0
{_STAT}echo "$mark stat $1" >&2
"""

# What a file is now: mark, path
STAT = f"""\
mark=$1 path=$2
{_STAT}echo "$mark stat $1" >&2
"""

# All that is below a directory, of many files at a time: how many, a line of stat for each, and the names with a NUL behind
# each. What goes meanwhile is left out. Directories that find could not read come again behind all others, with a line of zeros:
# mark, path
LIST = """\
mark=$1
cd -- "$2" || exit 1
find . -exec sh -c '
if out=$(stat -c "%f %s %Y %b %i" -- "$@" 2>/dev/null); then
  printf "%s\\n%s\\n" "$#" "$out"
  printf "%s\\0" "$@"
else
  for one; do
    if out=$(stat -c "%f %s %Y %b %i" -- "$one" 2>/dev/null); then printf "1\\n%s\\n%s\\0" "$out" "$one"; fi
  done
fi' sh {} + && exit 0
[ $? = 1 ] || exit 1
exec 3>&1
named=$(find . -type d -exec sh -c '
for one; do
  if [ -r "$one" ] && [ -x "$one" ]; then continue; fi
  printf "1\\n0 0 0 0 0\\n%s\\0" "$one" >&3 && echo named
done' sh {} + 2>/dev/null)
[ "$named" ]
"""

# A part of a file, in blocks, and what the file is afterwards: mark, path, size of a block, first block, blocks
READ = f"""\
mark=$1 path=$2
if command -v dd >/dev/null 2>&1
then dd if="$path" bs="$3" skip="$4" count="$5" 2>/dev/null || exit 1
else cat -- "$path" || exit 1
fi
{_STAT}echo "$mark stat $1" >&2
"""

# Files as an archive, then the SHA-256 of each, in their order, where the image can: mark, directory, names that begin with ./
READ_TAR = f"""\
mark=$1
cd -- "$2" || exit 1
shift 2
tar -cf - "$@"
echo "$mark tar $?" >&2
command -v sha256sum >/dev/null 2>&1 || exit 0
{_HASHES}"""

# The SHA-256 of files, in their order: mark, directory, names that begin with ./
HASH = f"""\
mark=$1
cd -- "$2" || exit 1
shift 2
{_HASHES}"""

# The SHA-256 of the first bytes of a file, or of all of it where there is no head: mark, path, bytes
HASH_OF = """\
mark=$1 path=$2
if command -v head >/dev/null 2>&1
then set -- $(head -c "$3" <"$path" | sha256sum)
else set -- $(sha256sum <"$path")
fi
echo "$mark sha256 $1" >&2
"""

# A directory that nobody else has: mark, directory
STAGE = """\
umask 077
[ -d "$2" ] || mkdir -- "$2"
"""

# A part of a file from stdin, at its block, and the size that the file has then: mark, path, size of a block, first block
WRITE = """\
mark=$1 path=$2
umask 077
if command -v dd >/dev/null 2>&1
then dd of="$path" bs="$3" seek="$4" conv=notrunc
else cat >"$path"
fi || { echo "$mark failed" >&2; cat >/dev/null; exit 1; }
echo "$mark size $(wc -c <"$path")" >&2
"""

# Makes a file as long as it is to be, with a hole where nothing was written: mark, path, bytes
EXTEND = """\
dd if=/dev/null of="$2" bs=1 seek="$3" count=0 || exit 1
"""

# An archive from stdin into a directory: mark, directory
WRITE_TAR = """\
mark=$1
cd -- "$2" || exit 1
tar -xpf - || { echo "$mark failed" >&2; cat >/dev/null; exit 1; }
cat >/dev/null
echo "$mark tar 0" >&2
"""

# Unpacks an archive, which goes, beside the place where the one directory in it is to be, and moves it there: mark, archive,
# place beside, the directory's name, where it is to be
UNPACK = """\
mark=$1
[ -e "$5" ] && { echo "$5 is there already" >&2; exit 1; }
rm -rf -- "$3"
mkdir -- "$3" && tar -xf "$2" -C "$3" && mv -- "$3/$4" "$5"
failed=$?
rm -rf -- "$2" "$3"
[ $failed = 0 ] || exit 1
echo "$mark done" >&2
"""

# Gives a file its mode and time, and its name: mark, file, name, mode, time, whether it may replace nothing but a file
COMMIT = """\
mark=$1
[ -d "$3" ] && [ ! -h "$3" ] && { echo "$3: is a directory" >&2; exit 1; }
[ -e "$2" ] || { [ -f "$3" ] && exit 0; }  # it was done, and nobody heard of it
if command -v chmod >/dev/null 2>&1; then chmod "$4" "$2"; fi
if command -v touch >/dev/null 2>&1; then touch -d "@$5" "$2" 2>/dev/null; fi
mv -f -- "$2" "$3" || exit 1
echo "$mark done" >&2
"""

# Moves files out of a directory to where they belong, directories first: mark, from, to, then d, f or l and a name for each
MOVE = """\
mark=$1 from=$2 to=$3
shift 3
while [ $# -gt 0 ]; do
  if [ "$1" = d ]; then
    [ -d "$to/$2" ] || mkdir -- "$to/$2" || exit 1
  else
    [ -d "$to/$2" ] && [ ! -h "$to/$2" ] && { echo "$to/$2: is a directory" >&2; exit 1; }
    if [ -e "$from/$2" ] || [ -h "$from/$2" ] || [ ! -e "$to/$2" ]; then mv -f -- "$from/$2" "$to/$2" || exit 1; fi
  fi
  shift 2
done
echo "$mark done" >&2
"""

# mark, path
REMOVE = """\
rm -rf -- "$2"
"""
