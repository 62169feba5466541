import { open } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { readProgram } from '../app/read-program.ts';
import { type Arch, archOfElf } from '../model/arch.ts';
import { systemError } from '../system-error.ts';

/** How many interpreters the kernel follows (BINPRM_MAX_RECURSION, linux/fs/exec.c). */
const MAX_INTERPRETERS = 5;
/** How much of a file's beginning the kernel looks at for `#!` (BINPRM_BUF_SIZE). */
const SHEBANG_SIZE = 256;

/**
 * The CPU of a program on this machine; for a script, of its interpreter.
 *
 * @throws UportError UPORT_GUEST_UNKNOWN, UPORT_ELF_*, UPORT_NOT_FOUND, UPORT_SHEBANG_DEPTH
 */
export async function guestOfFile(file: string): Promise<Arch> {
  let current = file;
  for (let depth = 0; depth < MAX_INTERPRETERS; depth++) {
    const interpreter = await shebang(current);
    if (interpreter === undefined) {
      const { identity } = await readProgram(current, current);
      const arch = archOfElf(identity);
      if (arch !== undefined) return arch;
      throw new UportError({
        code: 'UPORT_GUEST_UNKNOWN',
        category: 'input',
        message: `QEMU user mode has no such CPU: e_machine ${identity.machine}, ${identity.bits} bits, ${identity.order}`,
        hint: 'uport matrix lists the CPUs it can run',
        file: current,
        offset: 18,
      });
    }
    current = path.resolve(interpreter);
  }
  throw new UportError({
    code: 'UPORT_SHEBANG_DEPTH',
    category: 'input',
    message: 'its #! lines lead from script to script too often',
    hint: `the kernel follows ${MAX_INTERPRETERS - 1}; name the interpreter itself`,
    file,
  });
}

async function shebang(file: string): Promise<string | undefined> {
  const handle = await open(file, 'r').catch((error: unknown) => {
    throw systemError(error, file);
  });
  try {
    const { bytesRead, buffer } = await handle.read(Buffer.alloc(SHEBANG_SIZE), 0, SHEBANG_SIZE, 0);
    const head = buffer.toString('latin1', 0, bytesRead);
    return /^#![ \t]*([^ \t\n\0]+)/.exec(head)?.[1];
  } finally {
    await handle.close();
  }
}
