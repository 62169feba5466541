import { EXIT_STATUS } from '@uport/core/model';

interface FlagData {
  readonly name: string;
  readonly char?: string;
  readonly type: string;
  readonly description?: string;
  readonly summary?: string;
  readonly helpValue?: string | readonly string[];
  readonly multiple?: boolean;
  readonly hidden?: boolean;
  readonly options?: readonly string[];
}

interface CommandData {
  readonly id: string;
  readonly summary?: string;
  readonly description?: string;
  readonly examples?: readonly unknown[];
  readonly args: Readonly<
    Record<string, { name: string; description?: string; required?: boolean; multiple?: boolean }>
  >;
  readonly flags: Readonly<Record<string, FlagData>>;
}

/** The CLI reference as Markdown, from oclif's manifest. */
export function cliReference(manifest: {
  commands: Readonly<Record<string, CommandData>>;
}): string {
  const commands = Object.values(manifest.commands).sort((a, b) => (a.id < b.id ? -1 : 1));
  return [
    '# Command reference',
    'Made by `npm run build` from the commands themselves.',
    ...commands.map(section),
    exitStatuses(),
    '',
  ].join('\n\n');
}

function section(command: CommandData): string {
  const name = `uport ${command.id.replaceAll(':', ' ')}`;
  const args = Object.values(command.args);
  const usage = [
    name,
    '[FLAGS]',
    ...args.map((arg) => {
      const name = `${arg.name.toUpperCase()}${arg.multiple ? '...' : ''}`;
      return arg.required ? name : `[${name}]`;
    }),
  ];
  const parts = [
    `## ${name}`,
    command.summary ?? '',
    command.description ?? '',
    `\`${usage.join(' ')}\``,
  ];
  if (args.length > 0)
    parts.push(
      args.map((arg) => `- \`${arg.name.toUpperCase()}\`: ${arg.description ?? ''}`).join('\n'),
    );
  const flags = Object.values(command.flags)
    .filter((flag) => !flag.hidden)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (flags.length > 0)
    parts.push(['| flag | meaning |', '|---|---|', ...flags.map(flagRow)].join('\n'));
  const examples = (command.examples ?? []).map((example) =>
    String(example).replaceAll('<%= config.bin %>', 'uport'),
  );
  if (examples.length > 0) parts.push(['```sh', ...examples, '```'].join('\n'));
  return parts.filter((part) => part !== '').join('\n\n');
}

function flagRow(flag: FlagData): string {
  const value = flag.type === 'boolean' ? '' : ` ${flag.helpValue ?? 'VALUE'}`;
  const short = flag.char ? `\`-${flag.char}\`, ` : '';
  const repeat = flag.multiple ? ' Repeatable.' : '';
  const text = `${flag.summary ?? flag.description ?? ''}${repeat}`
    .replaceAll('|', '\\|')
    .replaceAll('\n', ' ');
  return `| ${short}\`--${flag.name}${value}\` | ${text} |`;
}

function exitStatuses(): string {
  const meaning: Readonly<Record<string, string>> = {
    internal: 'a fault of uport itself',
    usage: 'a wrong flag, argument or CPU name',
    input: 'the input is bad or missing',
    environment: 'this machine: no permission, disk full, output in the way',
    network: 'a mirror or registry failed',
    validation:
      'a check found faults: `uport validate`, `verify`, `deps`, `fatelf validate`, `fatelf verify`, `build --frozen`',
    interrupted: 'stopped by a signal',
  };
  const rows = Object.entries(EXIT_STATUS).sort((a, b) => a[1] - b[1]);
  return [
    '## Exit status',
    [
      '| status | meaning |',
      '|---|---|',
      '| 0 | done |',
      ...rows.map(([kind, status]) => `| ${status} | ${meaning[kind]} |`),
    ].join('\n'),
    '`uport run`, `binfmt exec` and `rootfs enter` end with the status of the program: 128 + n when signal n ended it, 127 when it was not found, 126 when it cannot be run, 125 when the launcher failed.',
    'Each error has a code, such as `UPORT_ELF_NOT_ELF`. Codes stay the same across releases; with `--json` they come as `{"error":{"code",…}}`.',
  ].join('\n\n');
}
