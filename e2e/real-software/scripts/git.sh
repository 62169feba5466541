# A repository, its clone, a branch that is merged, and the checks of both.
export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
export GIT_AUTHOR_DATE='2020-01-01T00:00:00Z' GIT_COMMITTER_DATE='2020-01-01T00:00:00Z' GIT_CONFIG_COUNT=1
export GIT_CONFIG_KEY_0=init.defaultBranch GIT_CONFIG_VALUE_0=main
set -e
git init -q one
for i in $(seq 1 10); do
  seq 1 "$i" >"one/file$i"
  git -C one add . && git -C one commit -q -m "change $i"
done
git clone -q --no-local file://$PWD/one two
cd two
git checkout -q -b side HEAD~3
echo side >side && git add side && git commit -q -m side
git checkout -q main && git merge -q -m merged side
git gc -q
git fsck --strict --no-dangling
git log --oneline | wc -l
git rev-parse HEAD
git push -q origin side && git -C ../one branch --list side
