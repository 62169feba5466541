import { existsSync, statSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createInterface } from 'node:readline/promises';
import { Flags } from '@oclif/core';
import { type AppConfig, parseArch, systemError, UportError } from '@uport/core';
import { BaseCommand } from '../base-command.ts';
import { CONFIG_FORMATS, type ConfigFormat, configText } from '../config-text.ts';
import { EMIT_FLAGS } from '../emit/index.ts';
import { words } from '../image-config-flags.ts';
import { usage } from '../pairs.ts';

const EMITTERS = EMIT_FLAGS.map(({ name }) => name);

export default class Init extends BaseCommand {
  static override summary = 'Write a configuration, so that uport build needs no arguments.';

  static override description =
    'Asks on a terminal for what the flags do not say. The file may be TypeScript, JavaScript, JSON or YAML.';

  static override examples = [
    '<%= config.bin %> init',
    '<%= config.bin %> init --input ./vendor-app --entrypoint bin/app --emit oci,universal',
    '<%= config.bin %> init --input ./app --format yaml',
  ];

  static override flags = {
    input: Flags.string({ summary: 'An ELF program or a folder.', helpValue: 'PATH' }),
    entrypoint: Flags.string({
      summary: 'What starts: a path inside the folder, or a JSON array with first arguments.',
      helpValue: 'PROGRAM',
    }),
    emit: Flags.option({
      summary: 'What to make. Default: oci.',
      options: EMITTERS,
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
    })(),
    host: Flags.string({
      summary: 'A CPU that it must run on. Default: amd64, arm64, riscv64, ppc64le and s390x.',
      helpValue: 'CPU',
      multiple: true,
      multipleNonGreedy: true,
      delimiter: ',',
    }),
    format: Flags.option({
      summary: 'The kind of file.',
      options: CONFIG_FORMATS,
      default: 'ts',
    })(),
    force: Flags.boolean({ summary: 'Write it though there is one already.' }),
  };

  async run(): Promise<unknown> {
    const { flags } = await this.parse(Init);
    const { CONFIG_NAMES } = await import('@uport/core/config');
    const there = CONFIG_NAMES.filter((name) => existsSync(name));
    const file = `uport.config.${flags.format}`;
    const others = there.filter((name) => name !== file);
    if (others.length > 0 || (there.length > 0 && !flags.force)) throw isThere(there);
    const asks = process.stdin.isTTY === true && process.stderr.isTTY === true;
    if (flags.input === undefined && (!asks || this.jsonEnabled())) {
      throw usage('no input is named', 'add --input PATH, or run it on a terminal');
    }
    const app = flags.input === undefined ? await this.#ask(flags) : appOf(flags);
    check(app);
    await write(file, configText(app, flags.format as ConfigFormat));
    this.log(`${file} written; uport build makes what it says`);
    return { file: path.resolve(file), app };
  }

  async #ask(flags: GivenAnswers): Promise<AppConfig> {
    const terminal = createInterface({ input: process.stdin, output: process.stderr });
    const ask = async (question: string, fallback = ''): Promise<string> => {
      const shown = fallback === '' ? question : `${question} [${fallback}]`;
      return (await terminal.question(`${shown}: `, { signal: this.signal })).trim() || fallback;
    };
    try {
      let input = '';
      while (input === '') input = await ask('The program, or the folder it is in');
      const folder = statSync(input, { throwIfNoEntry: false })?.isDirectory() ?? false;
      const entrypoint =
        flags.entrypoint ?? (folder ? await ask('What starts, as a path inside it') : undefined);
      const emit =
        flags.emit ?? (await ask(`What to make (${EMITTERS.join(', ')})`, 'oci')).split(/[\s,]+/);
      const host =
        flags.host ??
        (await ask('On which CPUs it must run', 'amd64,arm64,riscv64,ppc64le,s390x')).split(
          /[\s,]+/,
        );
      return appOf({ input, entrypoint: entrypoint || undefined, emit, host });
    } finally {
      terminal.close();
    }
  }
}

interface GivenAnswers {
  readonly input?: string | undefined;
  readonly entrypoint?: string | undefined;
  readonly emit?: readonly string[] | undefined;
  readonly host?: readonly string[] | undefined;
}

function appOf({ input = '', entrypoint, emit, host }: GivenAnswers): AppConfig {
  const started = entrypoint === undefined ? undefined : words(entrypoint, '--entrypoint');
  return {
    input: input.startsWith('.') || path.isAbsolute(input) ? input : `./${input}`,
    ...(started && { entrypoint: started.length === 1 ? (started[0] as string) : started }),
    ...(host && { hosts: [...host] }),
    emit: [...(emit ?? ['oci'])] as ('oci' | 'universal' | 'fatelf' | 'nix')[],
  };
}

/** @throws UportError for what there is not */
function check({ hosts = [], emit }: AppConfig): void {
  for (const host of hosts) parseArch(host);
  const unknown = (emit as readonly string[]).find((name) => !EMITTERS.includes(name));
  if (unknown !== undefined) {
    throw usage(`${JSON.stringify(unknown)} is nothing to make`, `use ${EMITTERS.join(', ')}`);
  }
}

async function write(file: string, text: string): Promise<void> {
  const temporary = `.${file}.${process.pid}`;
  try {
    await writeFile(temporary, text);
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw systemError(error, file);
  }
}

function isThere(names: readonly string[]): UportError {
  return new UportError({
    code: 'UPORT_CONFIG_EXISTS',
    category: 'usage',
    message: `there is a configuration already: ${names.join(', ')}`,
    hint: 'change that one, or remove it; --force replaces one of the same format',
  });
}
