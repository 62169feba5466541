import type { Plan } from '../plan/plan.ts';
import { cycloneDxDocument } from './cyclonedx.ts';
import { inventoryOf } from './inventory.ts';
import { spdxDocument } from './spdx.ts';

export const SBOM_FORMATS = ['spdx', 'cyclonedx'] as const;

export type SbomFormat = (typeof SBOM_FORMATS)[number];

/** What travels in a plan's artifacts, as SPDX 2.3 or CycloneDX 1.6 in JSON. Same plan, same bytes. */
export function sbomOf(plan: Plan, format: SbomFormat): Buffer {
  const inventory = inventoryOf(plan);
  return format === 'spdx' ? spdxDocument(inventory) : cycloneDxDocument(inventory);
}
