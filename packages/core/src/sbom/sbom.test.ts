import { expect, test } from 'vitest';
import { sha256Digest } from '../model/digest.ts';
import { samplePlan } from '../oci/testing/sample-plan.ts';
import type { Plan } from '../plan/plan.ts';
import { SBOM_FORMATS, sbomOf } from './index.ts';

async function planWithPackage(): Promise<Plan> {
  const { plan } = await samplePlan();
  const digest = sha256Digest('1'.repeat(64));
  return {
    ...plan,
    packages: [
      {
        name: 'libstdc++6',
        version: '1:12.2.0-14~x+b1',
        architecture: 'riscv64',
        suite: 'sid',
        sourcePackage: 'gcc-12',
        sourceVersion: '12.2.0-14',
        path: 'pool/main/g/gcc-12/x.deb',
        digest,
        size: 1,
      },
    ],
  };
}

test.each(SBOM_FORMATS)(
  '%s: the same plan, the same bytes; another plan, another name',
  async (format) => {
    const plan = await planWithPackage();
    const text = sbomOf(plan, format).toString();
    expect(sbomOf(structuredClone(plan), format).toString()).toBe(text);
    const other = sbomOf({ ...plan, app: { ...plan.app, name: 'other' } }, format).toString();
    const uuid = /urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
    expect(uuid.exec(text)?.[0]).toBeDefined();
    expect(uuid.exec(text)?.[0]).not.toBe(uuid.exec(other)?.[0]);
    expect(text).toContain(
      '"pkg:deb/debian/libstdc%2B%2B6@1:12.2.0-14~x%2Bb1?arch=riscv64&distro=debian-sid&upstream=gcc-12%4012.2.0-14"',
    );
    for (const word of ['qemu-riscv64', 'uport-launcher-s390x', '"musl"', '"zstd"', 'app/hello']) {
      expect(text).toContain(word);
    }
  },
);

test('every reference of the documents leads somewhere', async () => {
  const plan = await planWithPackage();
  const spdx = JSON.parse(sbomOf(plan, 'spdx').toString());
  const known = new Set(
    [spdx, ...spdx.packages, ...spdx.files].map((each: { SPDXID: string }) => each.SPDXID),
  );
  for (const each of spdx.relationships) {
    expect(known).toContain(each.spdxElementId);
    expect(known).toContain(each.relatedSpdxElement);
  }
  const bom = JSON.parse(sbomOf(plan, 'cyclonedx').toString());
  const refs = new Set([
    'app',
    ...bom.components.map((each: object) => Reflect.get(each, 'bom-ref')),
  ]);
  for (const { ref, dependsOn } of bom.dependencies) {
    for (const each of [ref, ...dependsOn]) expect(refs).toContain(each);
  }
});
