// A writer of universal files for the launcher's tests. It follows docs/formats/universal.md and
// shares no code with the one that builds them.
import { createHash } from 'node:crypto';
import { constants, zstdCompressSync } from 'node:zlib';
import type { ManifestCpu } from '../manifest.ts';

export type Node =
  | { readonly dir: string; readonly mode?: number }
  | { readonly file: string; readonly content: string | Uint8Array; readonly mode?: number }
  | { readonly symlink: string; readonly target: string }
  | { readonly link: string; readonly target: string };

export interface Host {
  readonly name: string;
  readonly launcher: Uint8Array;
  readonly emulators?: readonly {
    readonly name: string;
    readonly elf: ManifestCpu;
    readonly content: string | Uint8Array;
    readonly args?: readonly string[];
  }[];
  readonly slices?: readonly { readonly path: string; readonly content: string | Uint8Array }[];
}

/** Strings are Latin-1 bytes. */
export interface Universal {
  readonly app?: string;
  readonly hosts: readonly Host[];
  readonly programs: readonly {
    readonly name: string;
    readonly path: string;
    readonly args?: readonly string[];
    readonly defaults?: readonly string[];
  }[];
  /** Lines of the surroundings, as they stand. */
  readonly surroundings?: readonly string[];
  readonly nodes: readonly Node[];
}

/** Ways to damage a payload that its checksums do not show. */
export interface Twist {
  /** Changes the text of the index before it is packed. */
  readonly index?: (text: string) => string;
  /** Changes a blob's frame after its digest was taken. */
  readonly frame?: (frame: Buffer, number: number) => Buffer;
  /** zstd's window, as a power of two. */
  readonly windowLog?: number;
  /** Changes the footer. */
  readonly footer?: (footer: Buffer) => void;
}

export const bytes = (content: string | Uint8Array): Buffer =>
  typeof content === 'string' ? Buffer.from(content, 'latin1') : Buffer.from(content);

export const sha256 = (content: Uint8Array): string =>
  createHash('sha256').update(content).digest('hex');

function field(text: string): string {
  if (text === '') return '%';
  return Array.from(text, (char) => {
    const code = char.charCodeAt(0);
    const plain = code > 0x20 && code < 0x7f && char !== '%';
    return plain ? char : `%${code.toString(16).toUpperCase().padStart(2, '0')}`;
  }).join('');
}

export function pack(content: Uint8Array, windowLog = 25): Buffer {
  return zstdCompressSync(content, {
    pledgedSrcSize: content.length,
    params: {
      [constants.ZSTD_c_compressionLevel]: 3,
      [constants.ZSTD_c_windowLog]: windowLog,
    },
  });
}

const octal = (mode: number) => mode.toString(8).padStart(4, '0');

function nodeLine(node: Node): string {
  if ('dir' in node) return `dir ${octal(node.mode ?? 0o755)} ${field(node.dir)}`;
  if ('file' in node) {
    const size = bytes(node.content).length;
    return `file ${octal(node.mode ?? 0o755)} ${size} ${field(node.file)}`;
  }
  if ('symlink' in node) return `symlink ${field(node.symlink)} ${field(node.target)}`;
  return `link ${field(node.link)} ${field(node.target)}`;
}

export interface Payload {
  readonly bytes: Buffer;
  /** Names what is unpacked from it. */
  readonly id: string;
}

export function encodePayload(universal: Universal, twist: Twist = {}): Payload {
  const parts: Buffer[] = [];
  const blobLines: string[] = [];
  let offset = 0;
  const addBlob = (content: Buffer): number => {
    const number = blobLines.length;
    const packed = pack(content, twist.windowLog);
    const frame = twist.frame ? twist.frame(packed, number) : packed;
    blobLines.push(`blob ${offset} ${frame.length} ${content.length} ${sha256(content)}`);
    parts.push(frame);
    offset += frame.length;
    return number;
  };
  const hostLines = universal.hosts.flatMap(({ name, launcher, emulators = [], slices = [] }) => [
    `host ${name}`,
    `launcher ${launcher.length} ${sha256(launcher)}`,
    ...emulators.map(({ name: guest, elf, content, args = [] }) => {
      const { mask, value } = elf.flags ?? { mask: 0, value: 0 };
      const cpu = [elf.machine, elf.bits, elf.order, mask, value];
      return ['emulator', guest, ...cpu, addBlob(bytes(content)), ...args.map(field)].join(' ');
    }),
    ...slices.map(({ path, content }) => `slice ${addBlob(bytes(content))} ${field(path)}`),
  ]);
  const contents = universal.nodes.map((node) =>
    'file' in node ? bytes(node.content) : bytes(''),
  );
  const tree = addBlob(Buffer.concat(contents));
  const lines = [
    'uport-payload 1',
    `app ${field(universal.app ?? 'app')}`,
    ...blobLines,
    ...hostLines,
    `tree ${tree}`,
    ...(universal.surroundings ?? []),
    ...universal.programs.flatMap(({ name, path, args = [], defaults = [] }) => [
      ['program', ...[name, path, ...args].map(field)].join(' '),
      ...(defaults.length > 0 ? [['defaults', ...defaults.map(field)].join(' ')] : []),
    ]),
    ...universal.nodes.map(nodeLine),
  ];
  const text = `${lines.join('\n')}\n`;
  const index = bytes(twist.index ? twist.index(text) : text);
  const packedIndex = pack(index);
  const footer = Buffer.alloc(96);
  footer.write('UPORTPAY', 'latin1');
  footer.writeUInt32LE(1, 8);
  footer.writeBigUInt64LE(BigInt(offset + packedIndex.length + footer.length), 16);
  footer.writeBigUInt64LE(BigInt(offset), 24);
  footer.writeBigUInt64LE(BigInt(packedIndex.length), 32);
  footer.writeBigUInt64LE(BigInt(index.length), 40);
  footer.write(sha256(index), 64, 'hex');
  twist.footer?.(footer);
  return {
    bytes: Buffer.concat([...parts, packedIndex, footer]),
    id: sha256(index).slice(0, 32),
  };
}

/** The single-host form: a program, then the payload. */
export function singleHost(launcher: Uint8Array, payload: Payload): Buffer {
  return Buffer.concat([launcher, payload.bytes]);
}
