# An archive through pipes, packed with several threads and unpacked again.
set -e
mkdir -p tree/a/b
for i in $(seq 1 60); do seq 1 "$i" >"tree/a/b/$i"; done
ln -s b/7 tree/a/link
tar -cf - tree | xz -T2 -0 | xz -dc | (mkdir out && tar -xf - -C out)
diff -r tree out/tree && echo same
XZ_OPT=-0 tar -J --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf one.tar.xz tree
tar -tf one.tar.xz | wc -l
tar --use-compress-program='gzip -9' -cf two.tar.gz tree && gzip -t two.tar.gz && echo whole
