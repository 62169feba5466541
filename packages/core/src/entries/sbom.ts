// Entry point: SBOMs of plans.
export { SBOM_FORMATS, type SbomFormat, sbomOf } from '../sbom/index.ts';
export { readPlan } from '../sbom/read-plan.ts';
