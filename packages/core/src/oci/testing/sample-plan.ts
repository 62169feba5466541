// A small plan with real files of every kind, for tests.
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { EmitContext } from '../../emitters/emitter.ts';
import type { ContentSource } from '../../model/content.ts';
import { type Digest, sha256Digest } from '../../model/digest.ts';
import type { BytePath, PayloadEntry } from '../../model/payload-tree.ts';
import { silentProgress } from '../../model/progress.ts';
import type { HostPlan, PinnedEmulator, PinnedFile, Plan } from '../../plan/plan.ts';
import { Store } from '../../store/store.ts';

export interface Sample {
  readonly plan: Plan;
  readonly content: ContentSource;
  /** A folder of its own to work in. */
  readonly folder: string;
  context(outDir: string, signal?: AbortSignal): Promise<EmitContext>;
}

export interface SampleOptions {
  readonly guest?: string;
  readonly hosts?: readonly string[];
  /** Further entries of the payload; sorted in. */
  readonly entries?: readonly (PayloadEntry | { readonly path: string; readonly bytes: Buffer })[];
  /** The host that gets a slice. */
  readonly slice?: string;
  /** Bytes of the emulators and launchers. */
  readonly emulator?: (host: string) => Buffer;
}

export const ALL_HOSTS: readonly string[] = ['x86_64', 'aarch64', 'riscv64', 'ppc64le', 's390x'];

/** Bytes that depend on the seed alone; compressible to about a half. */
export function sampleBytes(seed: string, size: number): Buffer {
  const out = Buffer.alloc(size);
  for (let at = 0, i = 0; at < size; at += 64, i++) {
    const block = createHash('sha256').update(`${seed} ${i}`).digest();
    block.copy(out, at);
    out.fill(block[0] as number, at + 32, Math.min(at + 64, size));
  }
  return out;
}

export async function samplePlan(options: SampleOptions = {}): Promise<Sample> {
  const folder = await mkdtemp(path.join(tmpdir(), 'uport-oci-'));
  const files = new Map<Digest, string>();
  const pin = (bytes: Buffer): PinnedFile => {
    const digest = sha256Digest(createHash('sha256').update(bytes).digest('hex'));
    const file = path.join(folder, digest.slice(7));
    writeFileSync(file, bytes);
    files.set(digest, file);
    return { digest, size: bytes.length };
  };
  const guest = options.guest ?? 'riscv64';
  const target = 'app/hello' as BytePath;
  const entries: PayloadEntry[] = [
    { type: 'directory', path: 'app' as BytePath, mode: 0o755 },
    { type: 'file', path: target, mode: 0o755, ...pin(sampleBytes('target', 70_000)) },
    { type: 'hardlink', path: 'app/hello2' as BytePath, mode: 0o755, target },
    { type: 'symlink', path: 'app/link' as BytePath, mode: 0o777, target: 'hello' },
    { type: 'file', path: 'app/empty' as BytePath, mode: 0o600, ...pin(Buffer.alloc(0)) },
    ...(options.entries ?? []).map(
      (entry): PayloadEntry =>
        'bytes' in entry
          ? { type: 'file', path: entry.path as BytePath, mode: 0o644, ...pin(entry.bytes) }
          : entry,
    ),
  ];
  entries.sort((a, b) => (a.path < b.path ? -1 : 1));
  const emulated = (host: string): HostPlan => ({
    host,
    way: 'emulated',
    launcher: pin(sampleBytes(`launcher ${host}`, 9000)),
    emulator: {
      ...pin(options.emulator?.(host) ?? sampleBytes(`emulator ${host}`, 100_000)),
      kind: 'qemu',
      host,
      guest,
      version: '11.1.2',
      origin: { provider: 'dir', file: `qemu-${guest}-${host}` },
    } satisfies PinnedEmulator,
  });
  const plan: Plan = {
    version: 1,
    app: { name: 'hello', guest, linkage: 'static', program: target, target },
    payload: { entries },
    hosts: (options.hosts ?? ALL_HOSTS).map((host): HostPlan => {
      if (host === options.slice) {
        const file = pin(sampleBytes(`slice ${host}`, 50_000));
        return { host, way: 'native', slices: [{ path: target, file }] };
      }
      return host === guest ? { host, way: 'native', slices: [] } : emulated(host);
    }),
    image: {
      entrypoint: ['/app/hello'],
      cmd: ['a', 'b'],
      env: ['A=1'],
      workdir: '/',
      user: '1000',
      labels: { b: '2', a: '1' },
      exposedPorts: ['80', '53/udp'],
      volumes: ['/data'],
      stopSignal: 'SIGINT',
      annotations: { 'org.opencontainers.image.version': '1' },
    },
    sourceDateEpoch: 1_700_000_000,
  };
  const content: ContentSource = { locate: (digest) => files.get(digest) };
  return {
    plan,
    content,
    folder,
    async context(outDir, signal = new AbortController().signal) {
      const store = await Store.open(path.join(folder, 'store'));
      return { content, store, outDir, progress: silentProgress, signal };
    },
  };
}

/** A file with these bytes in a folder. */
export async function writeSample(folder: string, name: string, bytes: Buffer): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, bytes);
  return file;
}
