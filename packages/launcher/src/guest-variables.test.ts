// Variables that are only for programs of the guest, in what the app starts: together with those that the
// starter sets, and kept from programs of the host.
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { encodeManifest } from './manifest.ts';
import { COMPILER, COMPILER_HINT, compile } from './testing/kernel.ts';
import { type Bench, CPUS, elfHeader, makeBench, run, THIS_HOST } from './testing/launch.ts';

if (!COMPILER) console.warn(`guest-variables.test.ts: ${COMPILER_HINT}`);

/** As QEMU: -E sets a variable of the program. The program becomes its arguments, or shows what it has. */
const EMULATOR = `
  #include <stdio.h>
  #include <stdlib.h>
  #include <string.h>
  #include <unistd.h>
  static void show(const char *name) {
    const char *value = getenv(name);
    printf("%s %s\\n", name, value ? value : "-");
  }
  int main(int count, char **args) {
    int at = 1;
    for (; at < count && strcmp(args[at], "-0"); at += 2) {
      if (strcmp(args[at], "-E")) return 9;
      putenv(args[at + 1]);
    }
    at += 3;
    if (at < count) { execvp(args[at], args + at); return 8; }
    show("FOLDERS");
    show("PLAIN");
    return 0;
  }`;

describe.skipIf(!THIS_HOST || !COMPILER)('what the app starts', () => {
  let bench: Bench;
  let launch: string;
  let list: string;
  beforeAll(() => {
    bench = makeBench();
    const path = compile(bench, 'emulator', EMULATOR);
    launch = bench.launcher(THIS_HOST ?? '', []);
    list = ['one', 'two'].map((name) => bench.at(`.uport/${name}`)).join(':');
    const text = encodeManifest({
      emulators: [{ name: 'hppa', elf: CPUS.hppa, path, args: [] }],
      surroundings: {
        guest: { name: 'hppa', elf: CPUS.hppa },
        settings: [
          { kind: 'guest-paths', name: 'FOLDERS', paths: ['one', 'two'] },
          { kind: 'guest-env', name: 'PLAIN', value: 'ours' },
        ],
      },
    });
    writeFileSync(bench.at('.uport/manifest'), text, 'latin1');
    bench.program('guest', elfHeader(CPUS.hppa));
  });
  afterAll(() => bench.remove());

  const shell = (script: string, env = {}) => {
    const options = { UPORT_EXEC: 'ptrace', LIST: list, FOLDERS: 'theirs', ...env };
    const ran = run(launch, ['--', 'sh', '-c', script], { env: options, cwd: bench.folder });
    expect(ran).toMatchObject({ status: 0, stderr: '' });
    return ran.stdout;
  };

  test.each([
    ['nothing of its own', './guest', 'LIST:theirs', 'ours'],
    ['a list of its own', 'FOLDERS=own ./guest', 'LIST:own', 'ours'],
    ['one that it has made longer', 'FOLDERS=own:$LIST:more ./guest', 'own:LIST:more', 'ours'],
    ['none', 'unset FOLDERS; ./guest', 'LIST', 'ours'],
    ['no environment', 'env -i ./guest', 'LIST', 'ours'],
    ['a value of its own', 'PLAIN=mine ./guest', 'LIST:theirs', 'mine'],
    ['the value that uport was started with', 'PLAIN=before ./guest', 'LIST:theirs', 'ours'],
    ['a long list', `FOLDERS=${'x'.repeat(20_000)} ./guest`, `LIST:${'x'.repeat(20_000)}`, 'ours'],
    ['a program of the guest in between', './guest ./guest', 'LIST:theirs', 'ours'],
    ['one that changes it', './guest env FOLDERS=own ./guest', 'LIST:own', 'ours'],
  ])('a program of the guest: %s', (_, script, folders, plain) => {
    expect(shell(script, { PLAIN: 'before' })).toBe(
      `FOLDERS ${folders.replace('LIST', list)}\nPLAIN ${plain}\n`,
    );
  });

  test.each([
    ['what uport was started with', '', 'theirs'],
    ['what was put in front', 'FOLDERS=own:$LIST:theirs', 'own:theirs'],
    ['what was put behind', 'FOLDERS=$LIST:own', 'own'],
    ['nothing else', 'FOLDERS=$LIST', '-'],
    ['a list that only looks like it', 'FOLDERS=x$LIST:own', 'xLIST:own'],
  ])('a program of the host that one of the guest starts: %s', (_, set, expected) => {
    const show = `./guest sh -c '${set ? `export ${set}; ` : ''}exec sh -c "echo \\\${FOLDERS--} \\\${PLAIN--}"'`;
    // The outer shell is a program of the host too: what it sets itself is seen at the next exec.
    expect(shell(show)).toBe(`${expected.replace('LIST', list)} -\n`);
  });
});
