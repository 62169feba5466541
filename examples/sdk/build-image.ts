import { build, oci, parseArch } from '@uport/core';

const [input = '../nqueens/nqueens', outDir = 'dist'] = process.argv.slice(2);
const { plan, artifacts } = await build({
  input,
  outDir,
  hosts: ['amd64', 'arm64', 'riscv64'].map(parseArch),
  emit: [oci({ tags: ['latest', '1.0'] })],
});
for (const host of plan.hosts) console.log(host.host, host.way);
for (const artifact of artifacts) console.log(artifact.path, artifact.digest);
