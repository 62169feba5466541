import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { UportError } from '@uport/errors';
import { stage } from '../emitters/staging.ts';
import { makeFolder, removeMadeFolders } from '../make-folder.ts';
import { ARCHES, type Arch, DEFAULT_HOSTS } from '../model/arch.ts';
import { type Progress, silentProgress } from '../model/progress.ts';
import type { PinnedEmulator } from '../plan/plan.ts';
import type { EmulatorProvider } from '../qemu/provider.ts';
import { findEmulators, parseStockProvider } from '../qemu/providers.ts';
import { hostArch } from '../run/host-arch.ts';
import { Store } from '../store/index.ts';
import { commandPackages } from './command-packages.ts';
import { writeNodeRuntime } from './node-runtime.ts';

export interface NixFlakeOptions {
  /** The folder to write. */
  readonly folder: string;
  /** The flake's Nix files. */
  readonly source: string;
  /** The package folder of the `uport` command. */
  readonly command: string;
  /** The Node program that runs it. */
  readonly node: string;
  /** CPUs of the programs that it will build from. Default: this machine's. */
  readonly guests?: readonly Arch[];
  /** CPUs that it will build for. Default: amd64, arm64, riscv64, ppc64le and s390x. */
  readonly hosts?: readonly Arch[];
  /** Default: `debian`. Emulators must be as they came: the builds prepare them. */
  readonly providers?: readonly EmulatorProvider[];
  readonly store?: Store;
  readonly progress?: Progress;
  readonly signal?: AbortSignal;
  readonly warn?: (message: string) => void;
}

export interface NixFlake {
  readonly folder: string;
  /** Nix's name of the systems that can build with it. */
  readonly systems: readonly string[];
  readonly emulators: readonly PinnedEmulator[];
}

/** Everything beside the Nix files. */
const TOOLS = 'tools';
/** The systems that it builds for. */
const HOSTS = `${TOOLS}/hosts.json`;

/**
 * Writes a Nix flake without inputs that makes programs of every CPU run everywhere, inside Nix
 * builds: the command, Node with its libraries, and emulators lie in its folder `tools`, so it
 * needs no nixpkgs and no network.
 *
 * @throws UportError UPORT_EMULATOR_NOT_FOUND, UPORT_PACKAGE_MISSING, UPORT_LIBRARY_NOT_FOUND,
 * UPORT_NODE_IS_LOADER,
 * UPORT_NOT_LINUX, UPORT_NIX_NO_SYSTEM, UPORT_OUTPUT_IN_THE_WAY and those of providers
 */
export async function writeNixFlake(options: NixFlakeOptions): Promise<NixFlake> {
  const signal = options.signal ?? new AbortController().signal;
  const store = options.store ?? (await Store.open());
  const here = hostArch();
  const system = systemOf(here);
  const wanted = options.hosts ?? DEFAULT_HOSTS;
  const hosts = ARCHES.filter((arch) => wanted.includes(arch));
  const systems = hosts.map(systemOf);
  const emulators = await emulatorsOf(options, options.guests ?? [here], hosts, store, signal);
  const folder = path.resolve(options.folder);
  const parent = path.dirname(folder);
  const topmost = await makeFolder(parent);
  const name = path.basename(folder);
  try {
    await stage(
      parent,
      // Anybody may have a builder.mjs; only this command writes the list of hosts.
      [{ name, kind: 'folder', marker: HOSTS, what: 'flake of ours' }],
      async (staging) => {
        const made = path.join(staging, name);
        await copyFolder(options.source, made, signal, (file) => file !== TOOLS);
        await writeCommand(options, path.join(made, TOOLS, 'command'), signal);
        await writeNodeRuntime(options.node, path.join(made, TOOLS, 'node', system), signal);
        await writeFile(path.join(made, HOSTS), `${JSON.stringify(systems)}\n`);
        await mkdir(path.join(made, TOOLS, 'emulators'));
        for (const { host, guest, digest } of emulators) {
          const place = path.join(made, TOOLS, 'emulators', host, `qemu-${guest}`);
          await mkdir(path.dirname(place), { recursive: true });
          await copyFile(store.locate(digest) as string, place);
          await chmod(place, 0o755);
        }
      },
    );
  } catch (error) {
    if (topmost !== undefined) await removeMadeFolders(topmost, parent);
    throw error;
  }
  return { folder, systems: [system], emulators };
}

async function emulatorsOf(
  options: NixFlakeOptions,
  guests: readonly Arch[],
  hosts: readonly Arch[],
  store: Store,
  signal: AbortSignal,
): Promise<readonly PinnedEmulator[]> {
  const providers = options.providers ?? [parseStockProvider('debian')];
  const progress = options.progress ?? silentProgress;
  const context = { store, progress, signal, warn: options.warn };
  const emulators: PinnedEmulator[] = [];
  for (const guest of ARCHES.filter((arch) => guests.includes(arch))) {
    // A program's own CPU runs it by itself.
    const others = hosts.filter((host) => host !== guest);
    const found = await findEmulators(guest, others, providers, context);
    const absent = others.filter((host) => !found.has(host.name));
    if (absent.length > 0) throw noEmulator(guest, absent);
    emulators.push(...found.values());
  }
  return emulators;
}

async function writeCommand(
  { command, source }: NixFlakeOptions,
  folder: string,
  signal: AbortSignal,
): Promise<void> {
  const packages = commandPackages(command);
  for (const { folder: from, place, takes } of packages) {
    await copyFolder(from, path.join(folder, place), signal, takes);
  }
  // So that it can write the flake again from there. One of npm has it already.
  const own = path.join(folder, packages[0]?.place ?? '', 'nix');
  if (!existsSync(own)) await copyFolder(source, own, signal, (file) => file !== TOOLS);
}

/**
 * Copies what `takes` of the folder's own entries, with what links in it lead to. Modes are its own:
 * nobody but root could replace or remove copies of a Nix store's folders, which are read-only.
 */
async function copyFolder(
  source: string,
  target: string,
  signal: AbortSignal,
  takes: (name: string) => boolean = () => true,
): Promise<void> {
  signal.throwIfAborted();
  await mkdir(target, { recursive: true });
  await chmod(target, 0o755);
  for (const name of (await readdir(source)).filter(takes)) {
    const from = path.join(source, name);
    const to = path.join(target, name);
    const status = await stat(from);
    if (status.isDirectory()) {
      await copyFolder(from, to, signal);
    } else if (status.isFile()) {
      await copyFile(from, to);
      await chmod(to, (status.mode & 0o111) === 0 ? 0o644 : 0o755);
    }
  }
}

function systemOf({ name, nix }: Arch): string {
  if (nix !== undefined) return nix;
  throw new UportError({
    code: 'UPORT_NIX_NO_SYSTEM',
    category: 'input',
    message: `Nix has no name for ${name}`,
    hint: 'leave it out with --host; run the command on a CPU that Nix runs on',
  });
}

function noEmulator(guest: Arch, hosts: readonly Arch[]): UportError {
  return new UportError({
    code: 'UPORT_EMULATOR_NOT_FOUND',
    category: 'input',
    message: `no provider has a qemu-${guest.name} for ${hosts.map(({ name }) => name).join(', ')}`,
    hint: 'leave these hosts out with --host, or name another provider with --emulators',
  });
}
