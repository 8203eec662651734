# A stand-in for a flow solver, in busybox's own commands.
steps=$1 pace=$2 reynolds=$3 status=$4
mkdir -p VTK pictures
exec 3>log.lid
echo "step,Ux,p" >residuals.csv
echo "lid with Reynolds number $reynolds"
field() {
    awk -v step="$1" -v re="$reynolds" 'BEGIN {
        n = 12
        print "# vtk DataFile Version 2.0\nlid\nASCII\nDATASET STRUCTURED_POINTS"
        print "DIMENSIONS " n " " n " 1\nORIGIN 0 0 0\nSPACING 0.1 0.1 0.1"
        print "POINT_DATA " n * n "\nSCALARS speed float 1\nLOOKUP_TABLE default"
        for (j = 0; j < n; j++) for (i = 0; i < n; i++) print (i * j / (n * n)) * (1 + step) / re
    }' >"VTK/lid_$1.vtk.part" && mv "VTK/lid_$1.vtk.part" "VTK/lid_$1.vtk"
}
i=0
field 0
while [ "$i" -lt "$steps" ]; do
    i=$((i + 1))
    echo "Time = $i" >&3
    echo "step $i of $steps"
    awk -v i="$i" -v re="$reynolds" 'BEGIN { printf "%d,%.6g,%.6g\n", i, 100 / re / (1 + i / 8), 0.3 / (1 + i / 12) }' >>residuals.csv
    if [ $((i % 10)) -eq 0 ]; then field "$i"; fi
    sleep "$pace"
done
printf '<svg xmlns="http://www.w3.org/2000/svg" width="80" height="80"><circle cx="40" cy="40" r="30" fill="teal"/></svg>\n' >pictures/vortex.svg
printf '{"reynolds": %s, "steps": %s, "centre": [0.5, 0.7]}\n' "$reynolds" "$steps" >report.json
echo "end with status $status"
exit "$status"
