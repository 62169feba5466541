// What a uport.config file may say. One description gives the type, the check and the JSON schema.
import * as z from 'zod';

const words = z.union([z.string(), z.array(z.string())]);
const names = z.record(z.string(), z.string());
const level = (max: number) => z.int().min(1).max(max);

const ociSettings = z.strictObject({
  compression: z.enum(['gzip', 'zstd']).optional().describe('How layers are compressed.'),
  level: level(19).optional().describe('gzip 1 to 9, zstd 1 to 19.'),
  tags: z.array(z.string()).optional().describe('Tags of the image in the layout.'),
  sbom: z.boolean().optional().describe('Attach SBOMs to the image. Default: true.'),
  archive: z.boolean().optional().describe('Write oci-archive.tar and docker-archive.tar too.'),
});

const bins = names
  .optional()
  .describe('Programs of the folder by the name to call them by. The first is the default.');

const universalSettings = z.strictObject({
  perHost: z.boolean().optional().describe('One plain ELF file for each host, without sh.'),
  bins,
  level: level(19).optional().describe("zstd's level."),
});

const fatelfSettings = z.strictObject({
  bins,
  level: level(19).optional().describe("zstd's level."),
});

const nixSettings = z.strictObject({
  pname: z.string().optional().describe("The package's name. Default: the app's."),
  version: z.string().optional().describe("The package's version."),
  description: z.string().optional().describe('What the package is, in one line.'),
  licenses: z.array(z.string()).optional().describe('SPDX identifiers, or unfree.'),
  url: z.string().optional().describe('Where Nix will fetch universal.nar from.'),
  bins,
  level: level(19).optional().describe("zstd's level."),
});

const emit = z
  .union([
    z.array(z.enum(['oci', 'universal', 'fatelf', 'nix'])).min(1),
    z.strictObject({
      oci: z.union([z.literal(true), ociSettings]).optional(),
      universal: z.union([z.literal(true), universalSettings]).optional(),
      fatelf: z.union([z.literal(true), fatelfSettings]).optional(),
      nix: z.union([z.literal(true), nixSettings]).optional(),
    }),
  ])
  .describe('What to make: names, or names with settings of their own. Default: oci.');

const image = z
  .strictObject({
    cmd: words.optional().describe('Default arguments.'),
    env: names.optional().describe('Environment variables.'),
    workdir: z.string().optional().describe('The working folder.'),
    user: z.string().optional().describe('The user, and the group after a colon.'),
    labels: names.optional(),
    expose: z.array(z.string()).optional().describe('Ports, such as 80 or 53/udp.'),
    volumes: z.array(z.string()).optional(),
    stopSignal: z.string().optional(),
    annotations: names.optional().describe('Annotations of the index and its manifests.'),
  })
  .describe("What an image's config says; other artifacts carry what they have a place for.");

const libraries = z
  .strictObject({
    suites: z.array(z.string()).min(1).describe("Debian's suites, asked in order."),
    packages: z.array(z.string()).optional().describe('Packages to take along besides.'),
    openedLibraries: z
      .boolean()
      .optional()
      .describe('Also libraries that programs open at run time by a literal name.'),
    mirror: z.string().optional().describe('The folder that holds dists/ and pool/.'),
    keyring: z.string().optional().describe("A file of OpenPGP keys in place of Debian's."),
    archived: z.boolean().optional().describe('The suites are no longer kept up.'),
  })
  .describe('Libraries that the app lacks, from Debian.');

const guest = z
  .strictObject({
    env: names.optional().describe("Variables for programs of the guest's CPU only."),
    unset: z.array(z.string()).optional().describe("Variables taken out of the app's environment."),
    lib: z
      .array(z.string())
      .optional()
      .describe(
        'Shared libraries that take the place of those with the same soname, or are added.',
      ),
    cpu: z
      .string()
      .optional()
      .describe("The CPU that emulators pretend to be, as QEMU's -cpu takes it."),
    preload: z
      .array(z.string())
      .optional()
      .describe('Shared libraries that are loaded before all others.'),
  })
  .describe("What the guest's programs get and host programs never see.");

const nixStore = z
  .strictObject({
    store: z
      .string()
      .optional()
      .describe('A folder with nix/store in it, or the address of a binary cache.'),
    trustedKeys: z
      .array(z.string())
      .optional()
      .describe("Public keys that sign for the cache, as NAME:BASE64. Default: cache.nixos.org's."),
    references: z
      .enum(['keep', 'rewrite'])
      .optional()
      .describe('rewrite: the closure lies outside /nix/store. Default: keep.'),
    storePrefix: z
      .string()
      .optional()
      .describe('Where a rewritten closure lies: an absolute path of at most 34 bytes.'),
  })
  .describe('How an app that lies in a Nix store is taken.');

export const appSchema = z.strictObject({
  input: z
    .string()
    .describe(
      'An ELF program, a folder, a Nix store path, or an image: oci:DIR[:TAG], docker://REF, docker-archive:FILE.',
    ),
  name: z.string().optional().describe("The app's name. Default: the input's file name."),
  entrypoint: words.optional().describe('What starts: a program and its first arguments.'),
  hosts: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('CPUs it must run on. Default: amd64, arm64, riscv64, ppc64le and s390x.'),
  slices: names.optional().describe('Native builds of the program, by CPU.'),
  emulators: z
    .array(z.string())
    .min(1)
    .optional()
    .describe(
      'Where emulators come from: debian, debian:SUITE, dir:PATH or nix:STORE-PATH. Default: debian.',
    ),
  emulator: z
    .array(z.string())
    .min(1)
    .optional()
    .describe('Emulators that are tried before QEMU: box64, or HOST=box64 for one host.'),
  emit: emit.optional(),
  image: image.optional(),
  guest: guest.optional(),
  fromPlatform: z
    .string()
    .optional()
    .describe('Of an image: the CPU whose layers the missing platforms get.'),
  shim: z
    .union([z.literal('all'), z.array(z.string())])
    .optional()
    .describe('Of an image: programs that engines start themselves, or all in PATH.'),
  fromDebian: libraries.optional(),
  nix: nixStore.optional(),
  outDir: z
    .string()
    .optional()
    .describe('The folder to write to. Default: dist, with several apps dist/APP.'),
  sourceDateEpoch: z
    .int()
    .min(0)
    .optional()
    .describe('The time written into artifacts, in seconds since 1970.'),
  push: z.array(z.string()).optional().describe('Push the image there: REGISTRY/REPO:TAG.'),
});

const appsSchema = z.strictObject({
  $schema: z.string().optional(),
  apps: z
    .record(z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/), appSchema)
    .describe('Several apps, by name.'),
});

export const configSchema = z
  .union([appsSchema, appSchema.extend({ $schema: z.string().optional() })])
  .meta({ title: 'uport configuration' });

/** One app of a configuration. */
export type AppConfig = z.input<typeof appSchema>;

/** A configuration: one app, or several by name. */
export type UportConfig = z.input<typeof configSchema>;

/** The JSON schema of configuration files, for editors. */
export function configJsonSchema(): Record<string, unknown> {
  return z.toJSONSchema(configSchema, { io: 'input', target: 'draft-7' }) as Record<
    string,
    unknown
  >;
}
